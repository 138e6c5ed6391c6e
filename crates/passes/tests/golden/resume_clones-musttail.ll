; A clone keeps its frame during a call that must not leave one, and gives it up when it goes on there.
target triple = "x86_64-unknown-linux-musl"
declare void @act(ptr)
declare fastcc i32 @next(ptr, i32)
define fastcc i32 @step(ptr %state, i32 %n) {
  call void @act(ptr %state)
  %even = icmp eq i32 %n, 0
  br i1 %even, label %on, label %end
on:
  %result = musttail call fastcc i32 @next(ptr %state, i32 %n)
  ret i32 %result
end:
  ret i32 %n
}
