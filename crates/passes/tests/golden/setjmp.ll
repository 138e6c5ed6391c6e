; setjmp and sigsetjmp become markers; sigsetjmp keeps the signal mask.
target triple = "x86_64-unknown-linux-musl"
declare i32 @setjmp(ptr) returns_twice
declare i32 @sigsetjmp(ptr, i32) returns_twice
define i32 @both(ptr %one, ptr %two) {
  %a = call i32 @setjmp(ptr %one) returns_twice
  %b = call i32 @sigsetjmp(ptr %two, i32 1) returns_twice
  %c = add i32 %a, %b
  ret i32 %c
}
declare i32 @llvm.eh.sjlj.setjmp(ptr)
declare void @llvm.eh.sjlj.longjmp(ptr)
define i32 @builtin(ptr %five_words) {
  %first = call i32 @llvm.eh.sjlj.setjmp(ptr %five_words)
  %is_first = icmp eq i32 %first, 0
  br i1 %is_first, label %jump, label %done
jump:
  call void @llvm.eh.sjlj.longjmp(ptr %five_words)
  unreachable
done:
  ret i32 %first
}
