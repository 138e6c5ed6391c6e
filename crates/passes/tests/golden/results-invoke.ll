; A wide result of a call that may throw is loaded where the call returns normally.
target triple = "x86_64-unknown-linux-musl"
declare i32 @__gxx_personality_v0(...)
declare <4 x float> @four()
define <4 x float> @caught(i1 %again) personality ptr @__gxx_personality_v0 {
entry:
  %result = invoke <4 x float> @four() to label %done unwind label %pad
pad:
  %exception = landingpad { ptr, i32 } catch ptr null
  br label %done
done:
  %either = phi <4 x float> [ %result, %entry ], [ zeroinitializer, %pad ]
  ret <4 x float> %either
}
