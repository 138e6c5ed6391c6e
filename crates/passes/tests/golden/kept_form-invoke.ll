; What an invoke gave is widened where a resumption goes on, not in the block of the normal destination.
target triple = "x86_64-unknown-linux-musl"
declare i32 @__gxx_personality_v0(...)
declare i8 @byte()
declare void @act()
define i8 @result() personality ptr @__gxx_personality_v0 {
  %byte = invoke i8 @byte() to label %on unwind label %pad
on:
  call void @act()
  %sum = add i8 %byte, 1
  ret i8 %sum
pad:
  %exception = landingpad { ptr, i32 } cleanup
  resume { ptr, i32 } %exception
}
