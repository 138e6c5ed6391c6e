; In a try block: setjmp does not throw, but what comes after it may.
target triple = "x86_64-unknown-linux-musl"
declare i32 @setjmp(ptr) returns_twice
declare void @throwing(i32)
declare i32 @__gxx_personality_v0(...)
define i32 @f(ptr %buffer, i32 %n) personality ptr @__gxx_personality_v0 {
  %value = invoke i32 @setjmp(ptr %buffer) returns_twice
          to label %next unwind label %pad
next:
  invoke void @throwing(i32 %value)
          to label %done unwind label %pad
pad:
  %where = phi i32 [ 1, %0 ], [ 2, %next ]
  %caught = landingpad { ptr, i32 } catch ptr null
  %sum = add i32 %where, %n
  ret i32 %sum
done:
  ret i32 %value
}
