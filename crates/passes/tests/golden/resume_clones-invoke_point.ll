; A point at the head of the block that an invoke goes on to is passed again behind the storing of the invoke's result.
target triple = "x86_64-unknown-linux-musl"
declare i32 @__gxx_personality_v0(...)
declare i64 @act(i64)
define i64 @walk(i64 %n) personality ptr @__gxx_personality_v0 {
  %first = invoke i64 @act(i64 %n) to label %on unwind label %pad
on:
  %second = invoke i64 @walk(i64 %first) to label %done unwind label %pad
pad:
  %exception = landingpad { ptr, i32 } catch ptr null
  ret i64 0
done:
  %sum = add i64 %first, %second
  ret i64 %sum
}
