; A landing pad gives back the frames of what has thrown; with a variable-length array, down to the array.
target triple = "x86_64-unknown-linux-musl"
declare i32 @__gxx_personality_v0(...)
declare void @act(ptr)
define void @no_locals() personality ptr @__gxx_personality_v0 {
  invoke void @act(ptr null) to label %done unwind label %pad
pad:
  %exception = landingpad { ptr, i32 } catch ptr null
  ret void
done:
  ret void
}
define void @array(i64 %size) personality ptr @__gxx_personality_v0 {
  %array = alloca i8, i64 %size
  invoke void @act(ptr %array) to label %done unwind label %pad
pad:
  %exception = landingpad { ptr, i32 } catch ptr null
  call void @act(ptr %array)
  ret void
done:
  ret void
}
