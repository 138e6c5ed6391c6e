; Selectors become the function's own numbers of types, and resume a call.
target triple = "x86_64-unknown-linux-musl"
@int = external constant ptr
@text = external constant ptr
declare i32 @__gxx_personality_v0(...)
declare void @act()
declare i32 @llvm.eh.typeid.for.p0(ptr)
define i32 @caught() personality ptr @__gxx_personality_v0 {
  invoke void @act() to label %done unwind label %pad
pad:
  %exception = landingpad { ptr, i32 } cleanup catch ptr @text catch ptr @int filter [1 x ptr] [ptr @int]
  %selector = extractvalue { ptr, i32 } %exception, 1
  %number = call i32 @llvm.eh.typeid.for.p0(ptr @int)
  %is_int = icmp eq i32 %selector, %number
  br i1 %is_int, label %handler, label %on
handler:
  ret i32 1
on:
  resume { ptr, i32 } %exception
done:
  ret i32 0
}
