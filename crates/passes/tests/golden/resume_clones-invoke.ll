; What a landing pad needs is live at the call, and the clone's call leads to the clone's landing pad.
target triple = "x86_64-unknown-linux-musl"
declare i32 @__gxx_personality_v0(...)
declare i32 @act(i32)
define i32 @caught(i32 %a, i32 %b) personality ptr @__gxx_personality_v0 {
  %first = invoke i32 @act(i32 %a) to label %on unwind label %pad
on:
  %second = invoke i32 @act(i32 %first) to label %done unwind label %pad
pad:
  %which = phi i32 [ %b, %0 ], [ %first, %on ]
  %exception = landingpad { ptr, i32 } catch ptr null
  ret i32 %which
done:
  %sum = add i32 %first, %second
  ret i32 %sum
}
