; Conversions of floating-point numbers to integers where they saturate, for x86-64. Its instruction answers what does not fit with the least
; number (Intel SDM volume 2, CVTTSD2SI); LLVM compares each operand with the bounds before, which takes up to ten instructions. Here the answer is looked
; at, as virtual machines for Java do, and only if it may be that one the operand is.

define linkonce_odr hidden i32 @maize.fptosi.sat.i32.f64(double %x) alwaysinline nounwind {
  %v = insertelement <2 x double> poison, double %x, i32 0
  %fast = call i32 @llvm.x86.sse2.cvttsd2si(<2 x double> %v)
  %odd = icmp eq i32 %fast, -2147483648
  br i1 %odd, label %bounds, label %done, !prof !0
bounds:
  %slow = call i32 @llvm.fptosi.sat.i32.f64(double %x)
  br label %done
done:
  %r = phi i32 [ %fast, %0 ], [ %slow, %bounds ]
  ret i32 %r
}

define linkonce_odr hidden i64 @maize.fptosi.sat.i64.f64(double %x) alwaysinline nounwind {
  %v = insertelement <2 x double> poison, double %x, i32 0
  %fast = call i64 @llvm.x86.sse2.cvttsd2si64(<2 x double> %v)
  %odd = icmp eq i64 %fast, -9223372036854775808
  br i1 %odd, label %bounds, label %done, !prof !0
bounds:
  %slow = call i64 @llvm.fptosi.sat.i64.f64(double %x)
  br label %done
done:
  %r = phi i64 [ %fast, %0 ], [ %slow, %bounds ]
  ret i64 %r
}

define linkonce_odr hidden i32 @maize.fptoui.sat.i32.f64(double %x) alwaysinline nounwind {
  %v = insertelement <2 x double> poison, double %x, i32 0
  %fast = call i64 @llvm.x86.sse2.cvttsd2si64(<2 x double> %v)
  %odd = icmp ugt i64 %fast, 4294967295
  %low = trunc i64 %fast to i32
  br i1 %odd, label %bounds, label %done, !prof !0
bounds:
  %slow = call i32 @llvm.fptoui.sat.i32.f64(double %x)
  br label %done
done:
  %r = phi i32 [ %low, %0 ], [ %slow, %bounds ]
  ret i32 %r
}

define linkonce_odr hidden i64 @maize.fptoui.sat.i64.f64(double %x) alwaysinline nounwind {
  %v = insertelement <2 x double> poison, double %x, i32 0
  %fast = call i64 @llvm.x86.sse2.cvttsd2si64(<2 x double> %v)
  %odd = icmp slt i64 %fast, 0
  br i1 %odd, label %bounds, label %done, !prof !0
bounds:
  %slow = call i64 @llvm.fptoui.sat.i64.f64(double %x)
  br label %done
done:
  %r = phi i64 [ %fast, %0 ], [ %slow, %bounds ]
  ret i64 %r
}

define linkonce_odr hidden i32 @maize.fptosi.sat.i32.f32(float %x) alwaysinline nounwind {
  %v = insertelement <4 x float> poison, float %x, i32 0
  %fast = call i32 @llvm.x86.sse.cvttss2si(<4 x float> %v)
  %odd = icmp eq i32 %fast, -2147483648
  br i1 %odd, label %bounds, label %done, !prof !0
bounds:
  %slow = call i32 @llvm.fptosi.sat.i32.f32(float %x)
  br label %done
done:
  %r = phi i32 [ %fast, %0 ], [ %slow, %bounds ]
  ret i32 %r
}

define linkonce_odr hidden i64 @maize.fptosi.sat.i64.f32(float %x) alwaysinline nounwind {
  %v = insertelement <4 x float> poison, float %x, i32 0
  %fast = call i64 @llvm.x86.sse.cvttss2si64(<4 x float> %v)
  %odd = icmp eq i64 %fast, -9223372036854775808
  br i1 %odd, label %bounds, label %done, !prof !0
bounds:
  %slow = call i64 @llvm.fptosi.sat.i64.f32(float %x)
  br label %done
done:
  %r = phi i64 [ %fast, %0 ], [ %slow, %bounds ]
  ret i64 %r
}

define linkonce_odr hidden i32 @maize.fptoui.sat.i32.f32(float %x) alwaysinline nounwind {
  %v = insertelement <4 x float> poison, float %x, i32 0
  %fast = call i64 @llvm.x86.sse.cvttss2si64(<4 x float> %v)
  %odd = icmp ugt i64 %fast, 4294967295
  %low = trunc i64 %fast to i32
  br i1 %odd, label %bounds, label %done, !prof !0
bounds:
  %slow = call i32 @llvm.fptoui.sat.i32.f32(float %x)
  br label %done
done:
  %r = phi i32 [ %low, %0 ], [ %slow, %bounds ]
  ret i32 %r
}

define linkonce_odr hidden i64 @maize.fptoui.sat.i64.f32(float %x) alwaysinline nounwind {
  %v = insertelement <4 x float> poison, float %x, i32 0
  %fast = call i64 @llvm.x86.sse.cvttss2si64(<4 x float> %v)
  %odd = icmp slt i64 %fast, 0
  br i1 %odd, label %bounds, label %done, !prof !0
bounds:
  %slow = call i64 @llvm.fptoui.sat.i64.f32(float %x)
  br label %done
done:
  %r = phi i64 [ %fast, %0 ], [ %slow, %bounds ]
  ret i64 %r
}

declare i32 @llvm.x86.sse2.cvttsd2si(<2 x double>)
declare i64 @llvm.x86.sse2.cvttsd2si64(<2 x double>)
declare i32 @llvm.fptosi.sat.i32.f64(double)
declare i64 @llvm.fptosi.sat.i64.f64(double)
declare i32 @llvm.fptoui.sat.i32.f64(double)
declare i64 @llvm.fptoui.sat.i64.f64(double)
declare i32 @llvm.x86.sse.cvttss2si(<4 x float>)
declare i64 @llvm.x86.sse.cvttss2si64(<4 x float>)
declare i32 @llvm.fptosi.sat.i32.f32(float)
declare i64 @llvm.fptosi.sat.i64.f32(float)
declare i32 @llvm.fptoui.sat.i32.f32(float)
declare i64 @llvm.fptoui.sat.i64.f32(float)

!0 = !{!"branch_weights", i32 1, i32 1048576}
