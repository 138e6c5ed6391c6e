; What the intrinsics of SSE and SSE2 do, in IR that every ISA can run. `x86_intrinsics.rs` puts these in the place of the
; intrinsics: `llvm.x86.NAME` becomes `maize.x86.NAME`. Semantics are those of the Intel SDM, volume 2, and are compared with a
; processor's in tests/bodies.rs.

; Hints and fences. A cache line flushed is not seen by anyone.
define linkonce_odr hidden void @maize.x86.sse2.pause() alwaysinline nounwind {
  ret void
}

define linkonce_odr hidden void @maize.x86.sse2.clflush(ptr %p) alwaysinline nounwind {
  ret void
}

define linkonce_odr hidden void @maize.x86.sse.sfence() alwaysinline nounwind {
  fence seq_cst
  ret void
}

define linkonce_odr hidden void @maize.x86.sse2.lfence() alwaysinline nounwind {
  fence seq_cst
  ret void
}

define linkonce_odr hidden void @maize.x86.sse2.mfence() alwaysinline nounwind {
  fence seq_cst
  ret void
}

; What the operating system saves of a processor's state: nothing that programs can name.
define linkonce_odr hidden i64 @maize.x86.xgetbv(i32 %index) alwaysinline nounwind {
  ret i64 0
}

; Minimum and maximum: the second operand unless the first is smaller (larger).
define linkonce_odr hidden <4 x float> @maize.x86.sse.min.ps(<4 x float> %a, <4 x float> %b) alwaysinline nounwind {
  %c = fcmp olt <4 x float> %a, %b
  %r = select <4 x i1> %c, <4 x float> %a, <4 x float> %b
  ret <4 x float> %r
}

define linkonce_odr hidden <4 x float> @maize.x86.sse.min.ss(<4 x float> %a, <4 x float> %b) alwaysinline nounwind {
  %x = extractelement <4 x float> %a, i64 0
  %y = extractelement <4 x float> %b, i64 0
  %c = fcmp olt float %x, %y
  %m = select i1 %c, float %x, float %y
  %r = insertelement <4 x float> %a, float %m, i64 0
  ret <4 x float> %r
}

define linkonce_odr hidden <4 x float> @maize.x86.sse.max.ps(<4 x float> %a, <4 x float> %b) alwaysinline nounwind {
  %c = fcmp ogt <4 x float> %a, %b
  %r = select <4 x i1> %c, <4 x float> %a, <4 x float> %b
  ret <4 x float> %r
}

define linkonce_odr hidden <4 x float> @maize.x86.sse.max.ss(<4 x float> %a, <4 x float> %b) alwaysinline nounwind {
  %x = extractelement <4 x float> %a, i64 0
  %y = extractelement <4 x float> %b, i64 0
  %c = fcmp ogt float %x, %y
  %m = select i1 %c, float %x, float %y
  %r = insertelement <4 x float> %a, float %m, i64 0
  ret <4 x float> %r
}

define linkonce_odr hidden <2 x double> @maize.x86.sse2.min.pd(<2 x double> %a, <2 x double> %b) alwaysinline nounwind {
  %c = fcmp olt <2 x double> %a, %b
  %r = select <2 x i1> %c, <2 x double> %a, <2 x double> %b
  ret <2 x double> %r
}

define linkonce_odr hidden <2 x double> @maize.x86.sse2.min.sd(<2 x double> %a, <2 x double> %b) alwaysinline nounwind {
  %x = extractelement <2 x double> %a, i64 0
  %y = extractelement <2 x double> %b, i64 0
  %c = fcmp olt double %x, %y
  %m = select i1 %c, double %x, double %y
  %r = insertelement <2 x double> %a, double %m, i64 0
  ret <2 x double> %r
}

define linkonce_odr hidden <2 x double> @maize.x86.sse2.max.pd(<2 x double> %a, <2 x double> %b) alwaysinline nounwind {
  %c = fcmp ogt <2 x double> %a, %b
  %r = select <2 x i1> %c, <2 x double> %a, <2 x double> %b
  ret <2 x double> %r
}

define linkonce_odr hidden <2 x double> @maize.x86.sse2.max.sd(<2 x double> %a, <2 x double> %b) alwaysinline nounwind {
  %x = extractelement <2 x double> %a, i64 0
  %y = extractelement <2 x double> %b, i64 0
  %c = fcmp ogt double %x, %y
  %m = select i1 %c, double %x, double %y
  %r = insertelement <2 x double> %a, double %m, i64 0
  ret <2 x double> %r
}

; Approximations, for which processors differ among themselves; these are as good as can be.
define linkonce_odr hidden <4 x float> @maize.x86.sse.rcp.ps(<4 x float> %a) alwaysinline nounwind {
  %r = fdiv <4 x float> splat (float 1.0), %a
  ret <4 x float> %r
}

define linkonce_odr hidden <4 x float> @maize.x86.sse.rcp.ss(<4 x float> %a) alwaysinline nounwind {
  %x = extractelement <4 x float> %a, i64 0
  %q = fdiv float 1.0, %x
  %r = insertelement <4 x float> %a, float %q, i64 0
  ret <4 x float> %r
}

define linkonce_odr hidden <4 x float> @maize.x86.sse.rsqrt.ps(<4 x float> %a) alwaysinline nounwind {
  %s = call <4 x float> @llvm.sqrt.v4f32(<4 x float> %a)
  %r = fdiv <4 x float> splat (float 1.0), %s
  ret <4 x float> %r
}

define linkonce_odr hidden <4 x float> @maize.x86.sse.rsqrt.ss(<4 x float> %a) alwaysinline nounwind {
  %x = extractelement <4 x float> %a, i64 0
  %s = call float @llvm.sqrt.f32(float %x)
  %q = fdiv float 1.0, %s
  %r = insertelement <4 x float> %a, float %q, i64 0
  ret <4 x float> %r
}

; Comparisons that make masks. The predicate is an immediate operand.
define linkonce_odr hidden <4 x float> @maize.x86.sse.cmp.ps(<4 x float> %a, <4 x float> %b, i8 %predicate) alwaysinline nounwind {
  %c0 = fcmp oeq <4 x float> %a, %b
  %c1 = fcmp olt <4 x float> %a, %b
  %c2 = fcmp ole <4 x float> %a, %b
  %c3 = fcmp uno <4 x float> %a, %b
  %c4 = fcmp une <4 x float> %a, %b
  %c5 = fcmp uge <4 x float> %a, %b
  %c6 = fcmp ugt <4 x float> %a, %b
  %c7 = fcmp ord <4 x float> %a, %b
  %is1 = icmp eq i8 %predicate, 1
  %s1 = select i1 %is1, <4 x i1> %c1, <4 x i1> %c0
  %is2 = icmp eq i8 %predicate, 2
  %s2 = select i1 %is2, <4 x i1> %c2, <4 x i1> %s1
  %is3 = icmp eq i8 %predicate, 3
  %s3 = select i1 %is3, <4 x i1> %c3, <4 x i1> %s2
  %is4 = icmp eq i8 %predicate, 4
  %s4 = select i1 %is4, <4 x i1> %c4, <4 x i1> %s3
  %is5 = icmp eq i8 %predicate, 5
  %s5 = select i1 %is5, <4 x i1> %c5, <4 x i1> %s4
  %is6 = icmp eq i8 %predicate, 6
  %s6 = select i1 %is6, <4 x i1> %c6, <4 x i1> %s5
  %is7 = icmp eq i8 %predicate, 7
  %s7 = select i1 %is7, <4 x i1> %c7, <4 x i1> %s6
  %wide = sext <4 x i1> %s7 to <4 x i32>
  %mask = bitcast <4 x i32> %wide to <4 x float>
  ret <4 x float> %mask
}

define linkonce_odr hidden <4 x float> @maize.x86.sse.cmp.ss(<4 x float> %a, <4 x float> %b, i8 %predicate) alwaysinline nounwind {
  %x = extractelement <4 x float> %a, i64 0
  %y = extractelement <4 x float> %b, i64 0
  %c0 = fcmp oeq float %x, %y
  %c1 = fcmp olt float %x, %y
  %c2 = fcmp ole float %x, %y
  %c3 = fcmp uno float %x, %y
  %c4 = fcmp une float %x, %y
  %c5 = fcmp uge float %x, %y
  %c6 = fcmp ugt float %x, %y
  %c7 = fcmp ord float %x, %y
  %is1 = icmp eq i8 %predicate, 1
  %s1 = select i1 %is1, i1 %c1, i1 %c0
  %is2 = icmp eq i8 %predicate, 2
  %s2 = select i1 %is2, i1 %c2, i1 %s1
  %is3 = icmp eq i8 %predicate, 3
  %s3 = select i1 %is3, i1 %c3, i1 %s2
  %is4 = icmp eq i8 %predicate, 4
  %s4 = select i1 %is4, i1 %c4, i1 %s3
  %is5 = icmp eq i8 %predicate, 5
  %s5 = select i1 %is5, i1 %c5, i1 %s4
  %is6 = icmp eq i8 %predicate, 6
  %s6 = select i1 %is6, i1 %c6, i1 %s5
  %is7 = icmp eq i8 %predicate, 7
  %s7 = select i1 %is7, i1 %c7, i1 %s6
  %wide = sext i1 %s7 to i32
  %mask = bitcast i32 %wide to float
  %r = insertelement <4 x float> %a, float %mask, i64 0
  ret <4 x float> %r
}

define linkonce_odr hidden <2 x double> @maize.x86.sse2.cmp.pd(<2 x double> %a, <2 x double> %b, i8 %predicate) alwaysinline nounwind {
  %c0 = fcmp oeq <2 x double> %a, %b
  %c1 = fcmp olt <2 x double> %a, %b
  %c2 = fcmp ole <2 x double> %a, %b
  %c3 = fcmp uno <2 x double> %a, %b
  %c4 = fcmp une <2 x double> %a, %b
  %c5 = fcmp uge <2 x double> %a, %b
  %c6 = fcmp ugt <2 x double> %a, %b
  %c7 = fcmp ord <2 x double> %a, %b
  %is1 = icmp eq i8 %predicate, 1
  %s1 = select i1 %is1, <2 x i1> %c1, <2 x i1> %c0
  %is2 = icmp eq i8 %predicate, 2
  %s2 = select i1 %is2, <2 x i1> %c2, <2 x i1> %s1
  %is3 = icmp eq i8 %predicate, 3
  %s3 = select i1 %is3, <2 x i1> %c3, <2 x i1> %s2
  %is4 = icmp eq i8 %predicate, 4
  %s4 = select i1 %is4, <2 x i1> %c4, <2 x i1> %s3
  %is5 = icmp eq i8 %predicate, 5
  %s5 = select i1 %is5, <2 x i1> %c5, <2 x i1> %s4
  %is6 = icmp eq i8 %predicate, 6
  %s6 = select i1 %is6, <2 x i1> %c6, <2 x i1> %s5
  %is7 = icmp eq i8 %predicate, 7
  %s7 = select i1 %is7, <2 x i1> %c7, <2 x i1> %s6
  %wide = sext <2 x i1> %s7 to <2 x i64>
  %mask = bitcast <2 x i64> %wide to <2 x double>
  ret <2 x double> %mask
}

define linkonce_odr hidden <2 x double> @maize.x86.sse2.cmp.sd(<2 x double> %a, <2 x double> %b, i8 %predicate) alwaysinline nounwind {
  %x = extractelement <2 x double> %a, i64 0
  %y = extractelement <2 x double> %b, i64 0
  %c0 = fcmp oeq double %x, %y
  %c1 = fcmp olt double %x, %y
  %c2 = fcmp ole double %x, %y
  %c3 = fcmp uno double %x, %y
  %c4 = fcmp une double %x, %y
  %c5 = fcmp uge double %x, %y
  %c6 = fcmp ugt double %x, %y
  %c7 = fcmp ord double %x, %y
  %is1 = icmp eq i8 %predicate, 1
  %s1 = select i1 %is1, i1 %c1, i1 %c0
  %is2 = icmp eq i8 %predicate, 2
  %s2 = select i1 %is2, i1 %c2, i1 %s1
  %is3 = icmp eq i8 %predicate, 3
  %s3 = select i1 %is3, i1 %c3, i1 %s2
  %is4 = icmp eq i8 %predicate, 4
  %s4 = select i1 %is4, i1 %c4, i1 %s3
  %is5 = icmp eq i8 %predicate, 5
  %s5 = select i1 %is5, i1 %c5, i1 %s4
  %is6 = icmp eq i8 %predicate, 6
  %s6 = select i1 %is6, i1 %c6, i1 %s5
  %is7 = icmp eq i8 %predicate, 7
  %s7 = select i1 %is7, i1 %c7, i1 %s6
  %wide = sext i1 %s7 to i64
  %mask = bitcast i64 %wide to double
  %r = insertelement <2 x double> %a, double %mask, i64 0
  ret <2 x double> %r
}

; Comparisons of the first elements that give 1 or 0.
define linkonce_odr hidden i32 @maize.x86.sse.comieq.ss(<4 x float> %a, <4 x float> %b) alwaysinline nounwind {
  %x = extractelement <4 x float> %a, i64 0
  %y = extractelement <4 x float> %b, i64 0
  %c = fcmp oeq float %x, %y
  %r = zext i1 %c to i32
  ret i32 %r
}

define linkonce_odr hidden i32 @maize.x86.sse.comilt.ss(<4 x float> %a, <4 x float> %b) alwaysinline nounwind {
  %x = extractelement <4 x float> %a, i64 0
  %y = extractelement <4 x float> %b, i64 0
  %c = fcmp olt float %x, %y
  %r = zext i1 %c to i32
  ret i32 %r
}

define linkonce_odr hidden i32 @maize.x86.sse.comile.ss(<4 x float> %a, <4 x float> %b) alwaysinline nounwind {
  %x = extractelement <4 x float> %a, i64 0
  %y = extractelement <4 x float> %b, i64 0
  %c = fcmp ole float %x, %y
  %r = zext i1 %c to i32
  ret i32 %r
}

define linkonce_odr hidden i32 @maize.x86.sse.comigt.ss(<4 x float> %a, <4 x float> %b) alwaysinline nounwind {
  %x = extractelement <4 x float> %a, i64 0
  %y = extractelement <4 x float> %b, i64 0
  %c = fcmp ogt float %x, %y
  %r = zext i1 %c to i32
  ret i32 %r
}

define linkonce_odr hidden i32 @maize.x86.sse.comige.ss(<4 x float> %a, <4 x float> %b) alwaysinline nounwind {
  %x = extractelement <4 x float> %a, i64 0
  %y = extractelement <4 x float> %b, i64 0
  %c = fcmp oge float %x, %y
  %r = zext i1 %c to i32
  ret i32 %r
}

define linkonce_odr hidden i32 @maize.x86.sse.comineq.ss(<4 x float> %a, <4 x float> %b) alwaysinline nounwind {
  %x = extractelement <4 x float> %a, i64 0
  %y = extractelement <4 x float> %b, i64 0
  %c = fcmp une float %x, %y
  %r = zext i1 %c to i32
  ret i32 %r
}

define linkonce_odr hidden i32 @maize.x86.sse.ucomieq.ss(<4 x float> %a, <4 x float> %b) alwaysinline nounwind {
  %x = extractelement <4 x float> %a, i64 0
  %y = extractelement <4 x float> %b, i64 0
  %c = fcmp oeq float %x, %y
  %r = zext i1 %c to i32
  ret i32 %r
}

define linkonce_odr hidden i32 @maize.x86.sse.ucomilt.ss(<4 x float> %a, <4 x float> %b) alwaysinline nounwind {
  %x = extractelement <4 x float> %a, i64 0
  %y = extractelement <4 x float> %b, i64 0
  %c = fcmp olt float %x, %y
  %r = zext i1 %c to i32
  ret i32 %r
}

define linkonce_odr hidden i32 @maize.x86.sse.ucomile.ss(<4 x float> %a, <4 x float> %b) alwaysinline nounwind {
  %x = extractelement <4 x float> %a, i64 0
  %y = extractelement <4 x float> %b, i64 0
  %c = fcmp ole float %x, %y
  %r = zext i1 %c to i32
  ret i32 %r
}

define linkonce_odr hidden i32 @maize.x86.sse.ucomigt.ss(<4 x float> %a, <4 x float> %b) alwaysinline nounwind {
  %x = extractelement <4 x float> %a, i64 0
  %y = extractelement <4 x float> %b, i64 0
  %c = fcmp ogt float %x, %y
  %r = zext i1 %c to i32
  ret i32 %r
}

define linkonce_odr hidden i32 @maize.x86.sse.ucomige.ss(<4 x float> %a, <4 x float> %b) alwaysinline nounwind {
  %x = extractelement <4 x float> %a, i64 0
  %y = extractelement <4 x float> %b, i64 0
  %c = fcmp oge float %x, %y
  %r = zext i1 %c to i32
  ret i32 %r
}

define linkonce_odr hidden i32 @maize.x86.sse.ucomineq.ss(<4 x float> %a, <4 x float> %b) alwaysinline nounwind {
  %x = extractelement <4 x float> %a, i64 0
  %y = extractelement <4 x float> %b, i64 0
  %c = fcmp une float %x, %y
  %r = zext i1 %c to i32
  ret i32 %r
}

define linkonce_odr hidden i32 @maize.x86.sse2.comieq.sd(<2 x double> %a, <2 x double> %b) alwaysinline nounwind {
  %x = extractelement <2 x double> %a, i64 0
  %y = extractelement <2 x double> %b, i64 0
  %c = fcmp oeq double %x, %y
  %r = zext i1 %c to i32
  ret i32 %r
}

define linkonce_odr hidden i32 @maize.x86.sse2.comilt.sd(<2 x double> %a, <2 x double> %b) alwaysinline nounwind {
  %x = extractelement <2 x double> %a, i64 0
  %y = extractelement <2 x double> %b, i64 0
  %c = fcmp olt double %x, %y
  %r = zext i1 %c to i32
  ret i32 %r
}

define linkonce_odr hidden i32 @maize.x86.sse2.comile.sd(<2 x double> %a, <2 x double> %b) alwaysinline nounwind {
  %x = extractelement <2 x double> %a, i64 0
  %y = extractelement <2 x double> %b, i64 0
  %c = fcmp ole double %x, %y
  %r = zext i1 %c to i32
  ret i32 %r
}

define linkonce_odr hidden i32 @maize.x86.sse2.comigt.sd(<2 x double> %a, <2 x double> %b) alwaysinline nounwind {
  %x = extractelement <2 x double> %a, i64 0
  %y = extractelement <2 x double> %b, i64 0
  %c = fcmp ogt double %x, %y
  %r = zext i1 %c to i32
  ret i32 %r
}

define linkonce_odr hidden i32 @maize.x86.sse2.comige.sd(<2 x double> %a, <2 x double> %b) alwaysinline nounwind {
  %x = extractelement <2 x double> %a, i64 0
  %y = extractelement <2 x double> %b, i64 0
  %c = fcmp oge double %x, %y
  %r = zext i1 %c to i32
  ret i32 %r
}

define linkonce_odr hidden i32 @maize.x86.sse2.comineq.sd(<2 x double> %a, <2 x double> %b) alwaysinline nounwind {
  %x = extractelement <2 x double> %a, i64 0
  %y = extractelement <2 x double> %b, i64 0
  %c = fcmp une double %x, %y
  %r = zext i1 %c to i32
  ret i32 %r
}

define linkonce_odr hidden i32 @maize.x86.sse2.ucomieq.sd(<2 x double> %a, <2 x double> %b) alwaysinline nounwind {
  %x = extractelement <2 x double> %a, i64 0
  %y = extractelement <2 x double> %b, i64 0
  %c = fcmp oeq double %x, %y
  %r = zext i1 %c to i32
  ret i32 %r
}

define linkonce_odr hidden i32 @maize.x86.sse2.ucomilt.sd(<2 x double> %a, <2 x double> %b) alwaysinline nounwind {
  %x = extractelement <2 x double> %a, i64 0
  %y = extractelement <2 x double> %b, i64 0
  %c = fcmp olt double %x, %y
  %r = zext i1 %c to i32
  ret i32 %r
}

define linkonce_odr hidden i32 @maize.x86.sse2.ucomile.sd(<2 x double> %a, <2 x double> %b) alwaysinline nounwind {
  %x = extractelement <2 x double> %a, i64 0
  %y = extractelement <2 x double> %b, i64 0
  %c = fcmp ole double %x, %y
  %r = zext i1 %c to i32
  ret i32 %r
}

define linkonce_odr hidden i32 @maize.x86.sse2.ucomigt.sd(<2 x double> %a, <2 x double> %b) alwaysinline nounwind {
  %x = extractelement <2 x double> %a, i64 0
  %y = extractelement <2 x double> %b, i64 0
  %c = fcmp ogt double %x, %y
  %r = zext i1 %c to i32
  ret i32 %r
}

define linkonce_odr hidden i32 @maize.x86.sse2.ucomige.sd(<2 x double> %a, <2 x double> %b) alwaysinline nounwind {
  %x = extractelement <2 x double> %a, i64 0
  %y = extractelement <2 x double> %b, i64 0
  %c = fcmp oge double %x, %y
  %r = zext i1 %c to i32
  ret i32 %r
}

define linkonce_odr hidden i32 @maize.x86.sse2.ucomineq.sd(<2 x double> %a, <2 x double> %b) alwaysinline nounwind {
  %x = extractelement <2 x double> %a, i64 0
  %y = extractelement <2 x double> %b, i64 0
  %c = fcmp une double %x, %y
  %r = zext i1 %c to i32
  ret i32 %r
}

; Conversions to integers: the smallest integer for what does not fit. The name's `tt` means towards zero, else to nearest.
define linkonce_odr hidden i32 @maize.x86.sse.cvtss2si(<4 x float> %a) alwaysinline nounwind {
  %x = extractelement <4 x float> %a, i64 0
  %whole = call float @llvm.rint.f32(float %x)
  %above = fcmp oge float %whole, 0xC1E0000000000000
  %below = fcmp olt float %whole, 0x41E0000000000000
  %fits = and i1 %above, %below
  %safe = select i1 %fits, float %whole, float 0.0
  %n = fptosi float %safe to i32
  %r = select i1 %fits, i32 %n, i32 -2147483648
  ret i32 %r
}

define linkonce_odr hidden i64 @maize.x86.sse.cvtss2si64(<4 x float> %a) alwaysinline nounwind {
  %x = extractelement <4 x float> %a, i64 0
  %whole = call float @llvm.rint.f32(float %x)
  %above = fcmp oge float %whole, 0xC3E0000000000000
  %below = fcmp olt float %whole, 0x43E0000000000000
  %fits = and i1 %above, %below
  %safe = select i1 %fits, float %whole, float 0.0
  %n = fptosi float %safe to i64
  %r = select i1 %fits, i64 %n, i64 -9223372036854775808
  ret i64 %r
}

define linkonce_odr hidden i32 @maize.x86.sse2.cvtsd2si(<2 x double> %a) alwaysinline nounwind {
  %x = extractelement <2 x double> %a, i64 0
  %whole = call double @llvm.rint.f64(double %x)
  %above = fcmp oge double %whole, 0xC1E0000000000000
  %below = fcmp olt double %whole, 0x41E0000000000000
  %fits = and i1 %above, %below
  %safe = select i1 %fits, double %whole, double 0.0
  %n = fptosi double %safe to i32
  %r = select i1 %fits, i32 %n, i32 -2147483648
  ret i32 %r
}

define linkonce_odr hidden i64 @maize.x86.sse2.cvtsd2si64(<2 x double> %a) alwaysinline nounwind {
  %x = extractelement <2 x double> %a, i64 0
  %whole = call double @llvm.rint.f64(double %x)
  %above = fcmp oge double %whole, 0xC3E0000000000000
  %below = fcmp olt double %whole, 0x43E0000000000000
  %fits = and i1 %above, %below
  %safe = select i1 %fits, double %whole, double 0.0
  %n = fptosi double %safe to i64
  %r = select i1 %fits, i64 %n, i64 -9223372036854775808
  ret i64 %r
}

define linkonce_odr hidden <4 x i32> @maize.x86.sse2.cvtps2dq(<4 x float> %a) alwaysinline nounwind {
  %whole = call <4 x float> @llvm.rint.v4f32(<4 x float> %a)
  %above = fcmp oge <4 x float> %whole, splat (float 0xC1E0000000000000)
  %below = fcmp olt <4 x float> %whole, splat (float 0x41E0000000000000)
  %fits = and <4 x i1> %above, %below
  %safe = select <4 x i1> %fits, <4 x float> %whole, <4 x float> zeroinitializer
  %n = fptosi <4 x float> %safe to <4 x i32>
  %r = select <4 x i1> %fits, <4 x i32> %n, <4 x i32> splat (i32 -2147483648)
  ret <4 x i32> %r
}

define linkonce_odr hidden <4 x i32> @maize.x86.sse2.cvtpd2dq(<2 x double> %a) alwaysinline nounwind {
  %whole = call <2 x double> @llvm.rint.v2f64(<2 x double> %a)
  %above = fcmp oge <2 x double> %whole, splat (double 0xC1E0000000000000)
  %below = fcmp olt <2 x double> %whole, splat (double 0x41E0000000000000)
  %fits = and <2 x i1> %above, %below
  %safe = select <2 x i1> %fits, <2 x double> %whole, <2 x double> zeroinitializer
  %n = fptosi <2 x double> %safe to <2 x i32>
  %r = select <2 x i1> %fits, <2 x i32> %n, <2 x i32> splat (i32 -2147483648)
  %padded = shufflevector <2 x i32> %r, <2 x i32> zeroinitializer, <4 x i32> <i32 0, i32 1, i32 2, i32 3>
  ret <4 x i32> %padded
}

define linkonce_odr hidden i32 @maize.x86.sse.cvttss2si(<4 x float> %a) alwaysinline nounwind {
  %x = extractelement <4 x float> %a, i64 0
  %whole = call float @llvm.trunc.f32(float %x)
  %above = fcmp oge float %whole, 0xC1E0000000000000
  %below = fcmp olt float %whole, 0x41E0000000000000
  %fits = and i1 %above, %below
  %safe = select i1 %fits, float %whole, float 0.0
  %n = fptosi float %safe to i32
  %r = select i1 %fits, i32 %n, i32 -2147483648
  ret i32 %r
}

define linkonce_odr hidden i64 @maize.x86.sse.cvttss2si64(<4 x float> %a) alwaysinline nounwind {
  %x = extractelement <4 x float> %a, i64 0
  %whole = call float @llvm.trunc.f32(float %x)
  %above = fcmp oge float %whole, 0xC3E0000000000000
  %below = fcmp olt float %whole, 0x43E0000000000000
  %fits = and i1 %above, %below
  %safe = select i1 %fits, float %whole, float 0.0
  %n = fptosi float %safe to i64
  %r = select i1 %fits, i64 %n, i64 -9223372036854775808
  ret i64 %r
}

define linkonce_odr hidden i32 @maize.x86.sse2.cvttsd2si(<2 x double> %a) alwaysinline nounwind {
  %x = extractelement <2 x double> %a, i64 0
  %whole = call double @llvm.trunc.f64(double %x)
  %above = fcmp oge double %whole, 0xC1E0000000000000
  %below = fcmp olt double %whole, 0x41E0000000000000
  %fits = and i1 %above, %below
  %safe = select i1 %fits, double %whole, double 0.0
  %n = fptosi double %safe to i32
  %r = select i1 %fits, i32 %n, i32 -2147483648
  ret i32 %r
}

define linkonce_odr hidden i64 @maize.x86.sse2.cvttsd2si64(<2 x double> %a) alwaysinline nounwind {
  %x = extractelement <2 x double> %a, i64 0
  %whole = call double @llvm.trunc.f64(double %x)
  %above = fcmp oge double %whole, 0xC3E0000000000000
  %below = fcmp olt double %whole, 0x43E0000000000000
  %fits = and i1 %above, %below
  %safe = select i1 %fits, double %whole, double 0.0
  %n = fptosi double %safe to i64
  %r = select i1 %fits, i64 %n, i64 -9223372036854775808
  ret i64 %r
}

define linkonce_odr hidden <4 x i32> @maize.x86.sse2.cvttps2dq(<4 x float> %a) alwaysinline nounwind {
  %whole = call <4 x float> @llvm.trunc.v4f32(<4 x float> %a)
  %above = fcmp oge <4 x float> %whole, splat (float 0xC1E0000000000000)
  %below = fcmp olt <4 x float> %whole, splat (float 0x41E0000000000000)
  %fits = and <4 x i1> %above, %below
  %safe = select <4 x i1> %fits, <4 x float> %whole, <4 x float> zeroinitializer
  %n = fptosi <4 x float> %safe to <4 x i32>
  %r = select <4 x i1> %fits, <4 x i32> %n, <4 x i32> splat (i32 -2147483648)
  ret <4 x i32> %r
}

define linkonce_odr hidden <4 x i32> @maize.x86.sse2.cvttpd2dq(<2 x double> %a) alwaysinline nounwind {
  %whole = call <2 x double> @llvm.trunc.v2f64(<2 x double> %a)
  %above = fcmp oge <2 x double> %whole, splat (double 0xC1E0000000000000)
  %below = fcmp olt <2 x double> %whole, splat (double 0x41E0000000000000)
  %fits = and <2 x i1> %above, %below
  %safe = select <2 x i1> %fits, <2 x double> %whole, <2 x double> zeroinitializer
  %n = fptosi <2 x double> %safe to <2 x i32>
  %r = select <2 x i1> %fits, <2 x i32> %n, <2 x i32> splat (i32 -2147483648)
  %padded = shufflevector <2 x i32> %r, <2 x i32> zeroinitializer, <4 x i32> <i32 0, i32 1, i32 2, i32 3>
  ret <4 x i32> %padded
}

define linkonce_odr hidden <4 x float> @maize.x86.sse2.cvtsd2ss(<4 x float> %a, <2 x double> %b) alwaysinline nounwind {
  %x = extractelement <2 x double> %b, i64 0
  %n = fptrunc double %x to float
  %r = insertelement <4 x float> %a, float %n, i64 0
  ret <4 x float> %r
}

; Signs of the elements, gathered.
define linkonce_odr hidden i32 @maize.x86.sse.movmsk.ps(<4 x float> %a) alwaysinline nounwind {
  %bits = bitcast <4 x float> %a to <4 x i32>
  %signs = icmp slt <4 x i32> %bits, zeroinitializer
  %packed = bitcast <4 x i1> %signs to i4
  %r = zext i4 %packed to i32
  ret i32 %r
}

define linkonce_odr hidden i32 @maize.x86.sse2.movmsk.pd(<2 x double> %a) alwaysinline nounwind {
  %bits = bitcast <2 x double> %a to <2 x i64>
  %signs = icmp slt <2 x i64> %bits, zeroinitializer
  %packed = bitcast <2 x i1> %signs to i2
  %r = zext i2 %packed to i32
  ret i32 %r
}

define linkonce_odr hidden i32 @maize.x86.sse2.pmovmskb.128(<16 x i8> %a) alwaysinline nounwind {
  %signs = icmp slt <16 x i8> %a, zeroinitializer
  %packed = bitcast <16 x i1> %signs to i16
  %r = zext i16 %packed to i32
  ret i32 %r
}

; A store of the bytes whose mask byte is negative.
define linkonce_odr hidden void @maize.x86.sse2.maskmov.dqu(<16 x i8> %data, <16 x i8> %mask, ptr %p) alwaysinline nounwind {
  %chosen = icmp slt <16 x i8> %mask, zeroinitializer
  call void @llvm.masked.store.v16i8.p0(<16 x i8> %data, ptr align 1 %p, <16 x i1> %chosen)
  ret void
}

; Narrowing with saturation, both operands one after the other.
define linkonce_odr hidden <8 x i16> @maize.x86.sse2.packssdw.128(<4 x i32> %a, <4 x i32> %b) alwaysinline nounwind {
  %both = shufflevector <4 x i32> %a, <4 x i32> %b, <8 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7>
  %low = call <8 x i32> @llvm.smax.v8i32(<8 x i32> %both, <8 x i32> splat (i32 -32768))
  %in = call <8 x i32> @llvm.smin.v8i32(<8 x i32> %low, <8 x i32> splat (i32 32767))
  %r = trunc <8 x i32> %in to <8 x i16>
  ret <8 x i16> %r
}

define linkonce_odr hidden <16 x i8> @maize.x86.sse2.packsswb.128(<8 x i16> %a, <8 x i16> %b) alwaysinline nounwind {
  %both = shufflevector <8 x i16> %a, <8 x i16> %b, <16 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7, i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15>
  %low = call <16 x i16> @llvm.smax.v16i16(<16 x i16> %both, <16 x i16> splat (i16 -128))
  %in = call <16 x i16> @llvm.smin.v16i16(<16 x i16> %low, <16 x i16> splat (i16 127))
  %r = trunc <16 x i16> %in to <16 x i8>
  ret <16 x i8> %r
}

define linkonce_odr hidden <16 x i8> @maize.x86.sse2.packuswb.128(<8 x i16> %a, <8 x i16> %b) alwaysinline nounwind {
  %both = shufflevector <8 x i16> %a, <8 x i16> %b, <16 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7, i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15>
  %low = call <16 x i16> @llvm.smax.v16i16(<16 x i16> %both, <16 x i16> splat (i16 0))
  %in = call <16 x i16> @llvm.smin.v16i16(<16 x i16> %low, <16 x i16> splat (i16 255))
  %r = trunc <16 x i16> %in to <16 x i8>
  ret <16 x i8> %r
}

; Products and sums.
define linkonce_odr hidden <4 x i32> @maize.x86.sse2.pmadd.wd(<8 x i16> %a, <8 x i16> %b) alwaysinline nounwind {
  %x = sext <8 x i16> %a to <8 x i32>
  %y = sext <8 x i16> %b to <8 x i32>
  %p = mul <8 x i32> %x, %y
  %even = shufflevector <8 x i32> %p, <8 x i32> poison, <4 x i32> <i32 0, i32 2, i32 4, i32 6>
  %odd = shufflevector <8 x i32> %p, <8 x i32> poison, <4 x i32> <i32 1, i32 3, i32 5, i32 7>
  %r = add <4 x i32> %even, %odd
  ret <4 x i32> %r
}

define linkonce_odr hidden <8 x i16> @maize.x86.sse2.pmulh.w(<8 x i16> %a, <8 x i16> %b) alwaysinline nounwind {
  %x = sext <8 x i16> %a to <8 x i32>
  %y = sext <8 x i16> %b to <8 x i32>
  %p = mul <8 x i32> %x, %y
  %h = lshr <8 x i32> %p, splat (i32 16)
  %r = trunc <8 x i32> %h to <8 x i16>
  ret <8 x i16> %r
}

define linkonce_odr hidden <8 x i16> @maize.x86.sse2.pmulhu.w(<8 x i16> %a, <8 x i16> %b) alwaysinline nounwind {
  %x = zext <8 x i16> %a to <8 x i32>
  %y = zext <8 x i16> %b to <8 x i32>
  %p = mul <8 x i32> %x, %y
  %h = lshr <8 x i32> %p, splat (i32 16)
  %r = trunc <8 x i32> %h to <8 x i16>
  ret <8 x i16> %r
}

define linkonce_odr hidden <2 x i64> @maize.x86.sse2.psad.bw(<16 x i8> %a, <16 x i8> %b) alwaysinline nounwind {
  %more = call <16 x i8> @llvm.umax.v16i8(<16 x i8> %a, <16 x i8> %b)
  %less = call <16 x i8> @llvm.umin.v16i8(<16 x i8> %a, <16 x i8> %b)
  %d = sub <16 x i8> %more, %less
  %wide = zext <16 x i8> %d to <16 x i16>
  %low = shufflevector <16 x i16> %wide, <16 x i16> poison, <8 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7>
  %high = shufflevector <16 x i16> %wide, <16 x i16> poison, <8 x i32> <i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15>
  %s0 = call i16 @llvm.vector.reduce.add.v8i16(<8 x i16> %low)
  %s1 = call i16 @llvm.vector.reduce.add.v8i16(<8 x i16> %high)
  %w0 = zext i16 %s0 to i64
  %w1 = zext i16 %s1 to i64
  %r0 = insertelement <2 x i64> poison, i64 %w0, i64 0
  %r = insertelement <2 x i64> %r0, i64 %w1, i64 1
  ret <2 x i64> %r
}

; Shifts by one count for all elements, from a vector's lower half or an integer. A count beyond the width shifts all bits out.
define linkonce_odr hidden <8 x i16> @maize.x86.sse2.psll.w(<8 x i16> %a, <8 x i16> %counts) alwaysinline nounwind {
  %quads = bitcast <8 x i16> %counts to <2 x i64>
  %count = extractelement <2 x i64> %quads, i64 0
  %over = icmp ugt i64 %count, 15
  %in = select i1 %over, i64 0, i64 %count
  %narrow = trunc i64 %in to i16
  %one = insertelement <8 x i16> poison, i16 %narrow, i64 0
  %all = shufflevector <8 x i16> %one, <8 x i16> poison, <8 x i32> zeroinitializer
  %shifted = shl <8 x i16> %a, %all
  %r = select i1 %over, <8 x i16> zeroinitializer, <8 x i16> %shifted
  ret <8 x i16> %r
}

define linkonce_odr hidden <8 x i16> @maize.x86.sse2.pslli.w(<8 x i16> %a, i32 %count) alwaysinline nounwind {
  %over = icmp ugt i32 %count, 15
  %in = select i1 %over, i32 0, i32 %count
  %narrow = trunc i32 %in to i16
  %one = insertelement <8 x i16> poison, i16 %narrow, i64 0
  %all = shufflevector <8 x i16> %one, <8 x i16> poison, <8 x i32> zeroinitializer
  %shifted = shl <8 x i16> %a, %all
  %r = select i1 %over, <8 x i16> zeroinitializer, <8 x i16> %shifted
  ret <8 x i16> %r
}

define linkonce_odr hidden <4 x i32> @maize.x86.sse2.psll.d(<4 x i32> %a, <4 x i32> %counts) alwaysinline nounwind {
  %quads = bitcast <4 x i32> %counts to <2 x i64>
  %count = extractelement <2 x i64> %quads, i64 0
  %over = icmp ugt i64 %count, 31
  %in = select i1 %over, i64 0, i64 %count
  %narrow = trunc i64 %in to i32
  %one = insertelement <4 x i32> poison, i32 %narrow, i64 0
  %all = shufflevector <4 x i32> %one, <4 x i32> poison, <4 x i32> zeroinitializer
  %shifted = shl <4 x i32> %a, %all
  %r = select i1 %over, <4 x i32> zeroinitializer, <4 x i32> %shifted
  ret <4 x i32> %r
}

define linkonce_odr hidden <4 x i32> @maize.x86.sse2.pslli.d(<4 x i32> %a, i32 %count) alwaysinline nounwind {
  %over = icmp ugt i32 %count, 31
  %in = select i1 %over, i32 0, i32 %count
  %narrow = add i32 %in, 0
  %one = insertelement <4 x i32> poison, i32 %narrow, i64 0
  %all = shufflevector <4 x i32> %one, <4 x i32> poison, <4 x i32> zeroinitializer
  %shifted = shl <4 x i32> %a, %all
  %r = select i1 %over, <4 x i32> zeroinitializer, <4 x i32> %shifted
  ret <4 x i32> %r
}

define linkonce_odr hidden <2 x i64> @maize.x86.sse2.psll.q(<2 x i64> %a, <2 x i64> %counts) alwaysinline nounwind {
  %quads = bitcast <2 x i64> %counts to <2 x i64>
  %count = extractelement <2 x i64> %quads, i64 0
  %over = icmp ugt i64 %count, 63
  %in = select i1 %over, i64 0, i64 %count
  %narrow = add i64 %in, 0
  %one = insertelement <2 x i64> poison, i64 %narrow, i64 0
  %all = shufflevector <2 x i64> %one, <2 x i64> poison, <2 x i32> zeroinitializer
  %shifted = shl <2 x i64> %a, %all
  %r = select i1 %over, <2 x i64> zeroinitializer, <2 x i64> %shifted
  ret <2 x i64> %r
}

define linkonce_odr hidden <2 x i64> @maize.x86.sse2.pslli.q(<2 x i64> %a, i32 %count) alwaysinline nounwind {
  %over = icmp ugt i32 %count, 63
  %in = select i1 %over, i32 0, i32 %count
  %narrow = zext i32 %in to i64
  %one = insertelement <2 x i64> poison, i64 %narrow, i64 0
  %all = shufflevector <2 x i64> %one, <2 x i64> poison, <2 x i32> zeroinitializer
  %shifted = shl <2 x i64> %a, %all
  %r = select i1 %over, <2 x i64> zeroinitializer, <2 x i64> %shifted
  ret <2 x i64> %r
}

define linkonce_odr hidden <8 x i16> @maize.x86.sse2.psrl.w(<8 x i16> %a, <8 x i16> %counts) alwaysinline nounwind {
  %quads = bitcast <8 x i16> %counts to <2 x i64>
  %count = extractelement <2 x i64> %quads, i64 0
  %over = icmp ugt i64 %count, 15
  %in = select i1 %over, i64 0, i64 %count
  %narrow = trunc i64 %in to i16
  %one = insertelement <8 x i16> poison, i16 %narrow, i64 0
  %all = shufflevector <8 x i16> %one, <8 x i16> poison, <8 x i32> zeroinitializer
  %shifted = lshr <8 x i16> %a, %all
  %r = select i1 %over, <8 x i16> zeroinitializer, <8 x i16> %shifted
  ret <8 x i16> %r
}

define linkonce_odr hidden <8 x i16> @maize.x86.sse2.psrli.w(<8 x i16> %a, i32 %count) alwaysinline nounwind {
  %over = icmp ugt i32 %count, 15
  %in = select i1 %over, i32 0, i32 %count
  %narrow = trunc i32 %in to i16
  %one = insertelement <8 x i16> poison, i16 %narrow, i64 0
  %all = shufflevector <8 x i16> %one, <8 x i16> poison, <8 x i32> zeroinitializer
  %shifted = lshr <8 x i16> %a, %all
  %r = select i1 %over, <8 x i16> zeroinitializer, <8 x i16> %shifted
  ret <8 x i16> %r
}

define linkonce_odr hidden <4 x i32> @maize.x86.sse2.psrl.d(<4 x i32> %a, <4 x i32> %counts) alwaysinline nounwind {
  %quads = bitcast <4 x i32> %counts to <2 x i64>
  %count = extractelement <2 x i64> %quads, i64 0
  %over = icmp ugt i64 %count, 31
  %in = select i1 %over, i64 0, i64 %count
  %narrow = trunc i64 %in to i32
  %one = insertelement <4 x i32> poison, i32 %narrow, i64 0
  %all = shufflevector <4 x i32> %one, <4 x i32> poison, <4 x i32> zeroinitializer
  %shifted = lshr <4 x i32> %a, %all
  %r = select i1 %over, <4 x i32> zeroinitializer, <4 x i32> %shifted
  ret <4 x i32> %r
}

define linkonce_odr hidden <4 x i32> @maize.x86.sse2.psrli.d(<4 x i32> %a, i32 %count) alwaysinline nounwind {
  %over = icmp ugt i32 %count, 31
  %in = select i1 %over, i32 0, i32 %count
  %narrow = add i32 %in, 0
  %one = insertelement <4 x i32> poison, i32 %narrow, i64 0
  %all = shufflevector <4 x i32> %one, <4 x i32> poison, <4 x i32> zeroinitializer
  %shifted = lshr <4 x i32> %a, %all
  %r = select i1 %over, <4 x i32> zeroinitializer, <4 x i32> %shifted
  ret <4 x i32> %r
}

define linkonce_odr hidden <2 x i64> @maize.x86.sse2.psrl.q(<2 x i64> %a, <2 x i64> %counts) alwaysinline nounwind {
  %quads = bitcast <2 x i64> %counts to <2 x i64>
  %count = extractelement <2 x i64> %quads, i64 0
  %over = icmp ugt i64 %count, 63
  %in = select i1 %over, i64 0, i64 %count
  %narrow = add i64 %in, 0
  %one = insertelement <2 x i64> poison, i64 %narrow, i64 0
  %all = shufflevector <2 x i64> %one, <2 x i64> poison, <2 x i32> zeroinitializer
  %shifted = lshr <2 x i64> %a, %all
  %r = select i1 %over, <2 x i64> zeroinitializer, <2 x i64> %shifted
  ret <2 x i64> %r
}

define linkonce_odr hidden <2 x i64> @maize.x86.sse2.psrli.q(<2 x i64> %a, i32 %count) alwaysinline nounwind {
  %over = icmp ugt i32 %count, 63
  %in = select i1 %over, i32 0, i32 %count
  %narrow = zext i32 %in to i64
  %one = insertelement <2 x i64> poison, i64 %narrow, i64 0
  %all = shufflevector <2 x i64> %one, <2 x i64> poison, <2 x i32> zeroinitializer
  %shifted = lshr <2 x i64> %a, %all
  %r = select i1 %over, <2 x i64> zeroinitializer, <2 x i64> %shifted
  ret <2 x i64> %r
}

define linkonce_odr hidden <8 x i16> @maize.x86.sse2.psra.w(<8 x i16> %a, <8 x i16> %counts) alwaysinline nounwind {
  %quads = bitcast <8 x i16> %counts to <2 x i64>
  %count = extractelement <2 x i64> %quads, i64 0
  %over = icmp ugt i64 %count, 15
  %in = select i1 %over, i64 15, i64 %count
  %narrow = trunc i64 %in to i16
  %one = insertelement <8 x i16> poison, i16 %narrow, i64 0
  %all = shufflevector <8 x i16> %one, <8 x i16> poison, <8 x i32> zeroinitializer
  %shifted = ashr <8 x i16> %a, %all
  ret <8 x i16> %shifted
}

define linkonce_odr hidden <8 x i16> @maize.x86.sse2.psrai.w(<8 x i16> %a, i32 %count) alwaysinline nounwind {
  %over = icmp ugt i32 %count, 15
  %in = select i1 %over, i32 15, i32 %count
  %narrow = trunc i32 %in to i16
  %one = insertelement <8 x i16> poison, i16 %narrow, i64 0
  %all = shufflevector <8 x i16> %one, <8 x i16> poison, <8 x i32> zeroinitializer
  %shifted = ashr <8 x i16> %a, %all
  ret <8 x i16> %shifted
}

define linkonce_odr hidden <4 x i32> @maize.x86.sse2.psra.d(<4 x i32> %a, <4 x i32> %counts) alwaysinline nounwind {
  %quads = bitcast <4 x i32> %counts to <2 x i64>
  %count = extractelement <2 x i64> %quads, i64 0
  %over = icmp ugt i64 %count, 31
  %in = select i1 %over, i64 31, i64 %count
  %narrow = trunc i64 %in to i32
  %one = insertelement <4 x i32> poison, i32 %narrow, i64 0
  %all = shufflevector <4 x i32> %one, <4 x i32> poison, <4 x i32> zeroinitializer
  %shifted = ashr <4 x i32> %a, %all
  ret <4 x i32> %shifted
}

define linkonce_odr hidden <4 x i32> @maize.x86.sse2.psrai.d(<4 x i32> %a, i32 %count) alwaysinline nounwind {
  %over = icmp ugt i32 %count, 31
  %in = select i1 %over, i32 31, i32 %count
  %narrow = add i32 %in, 0
  %one = insertelement <4 x i32> poison, i32 %narrow, i64 0
  %all = shufflevector <4 x i32> %one, <4 x i32> poison, <4 x i32> zeroinitializer
  %shifted = ashr <4 x i32> %a, %all
  ret <4 x i32> %shifted
}

; Sums with carry and differences with borrow: the new carry and the number.
define linkonce_odr hidden { i8, i32 } @maize.x86.addcarry.32(i8 %carry, i32 %a, i32 %b) alwaysinline nounwind {
  %set = icmp ne i8 %carry, 0
  %c = zext i1 %set to i32
  %first = call { i32, i1 } @llvm.uadd.with.overflow.i32(i32 %a, i32 %b)
  %partial = extractvalue { i32, i1 } %first, 0
  %over0 = extractvalue { i32, i1 } %first, 1
  %second = call { i32, i1 } @llvm.uadd.with.overflow.i32(i32 %partial, i32 %c)
  %n = extractvalue { i32, i1 } %second, 0
  %over1 = extractvalue { i32, i1 } %second, 1
  %over = or i1 %over0, %over1
  %byte = zext i1 %over to i8
  %r0 = insertvalue { i8, i32 } poison, i8 %byte, 0
  %r = insertvalue { i8, i32 } %r0, i32 %n, 1
  ret { i8, i32 } %r
}

define linkonce_odr hidden { i8, i32 } @maize.x86.subborrow.32(i8 %carry, i32 %a, i32 %b) alwaysinline nounwind {
  %set = icmp ne i8 %carry, 0
  %c = zext i1 %set to i32
  %first = call { i32, i1 } @llvm.usub.with.overflow.i32(i32 %a, i32 %b)
  %partial = extractvalue { i32, i1 } %first, 0
  %over0 = extractvalue { i32, i1 } %first, 1
  %second = call { i32, i1 } @llvm.usub.with.overflow.i32(i32 %partial, i32 %c)
  %n = extractvalue { i32, i1 } %second, 0
  %over1 = extractvalue { i32, i1 } %second, 1
  %over = or i1 %over0, %over1
  %byte = zext i1 %over to i8
  %r0 = insertvalue { i8, i32 } poison, i8 %byte, 0
  %r = insertvalue { i8, i32 } %r0, i32 %n, 1
  ret { i8, i32 } %r
}

define linkonce_odr hidden { i8, i64 } @maize.x86.addcarry.64(i8 %carry, i64 %a, i64 %b) alwaysinline nounwind {
  %set = icmp ne i8 %carry, 0
  %c = zext i1 %set to i64
  %first = call { i64, i1 } @llvm.uadd.with.overflow.i64(i64 %a, i64 %b)
  %partial = extractvalue { i64, i1 } %first, 0
  %over0 = extractvalue { i64, i1 } %first, 1
  %second = call { i64, i1 } @llvm.uadd.with.overflow.i64(i64 %partial, i64 %c)
  %n = extractvalue { i64, i1 } %second, 0
  %over1 = extractvalue { i64, i1 } %second, 1
  %over = or i1 %over0, %over1
  %byte = zext i1 %over to i8
  %r0 = insertvalue { i8, i64 } poison, i8 %byte, 0
  %r = insertvalue { i8, i64 } %r0, i64 %n, 1
  ret { i8, i64 } %r
}

define linkonce_odr hidden { i8, i64 } @maize.x86.subborrow.64(i8 %carry, i64 %a, i64 %b) alwaysinline nounwind {
  %set = icmp ne i8 %carry, 0
  %c = zext i1 %set to i64
  %first = call { i64, i1 } @llvm.usub.with.overflow.i64(i64 %a, i64 %b)
  %partial = extractvalue { i64, i1 } %first, 0
  %over0 = extractvalue { i64, i1 } %first, 1
  %second = call { i64, i1 } @llvm.usub.with.overflow.i64(i64 %partial, i64 %c)
  %n = extractvalue { i64, i1 } %second, 0
  %over1 = extractvalue { i64, i1 } %second, 1
  %over = or i1 %over0, %over1
  %byte = zext i1 %over to i8
  %r0 = insertvalue { i8, i64 } poison, i8 %byte, 0
  %r = insertvalue { i8, i64 } %r0, i64 %n, 1
  ret { i8, i64 } %r
}

declare <16 x i16> @llvm.smax.v16i16(<16 x i16>, <16 x i16>)
declare <16 x i16> @llvm.smin.v16i16(<16 x i16>, <16 x i16>)
declare <16 x i8> @llvm.umax.v16i8(<16 x i8>, <16 x i8>)
declare <16 x i8> @llvm.umin.v16i8(<16 x i8>, <16 x i8>)
declare <2 x double> @llvm.rint.v2f64(<2 x double>)
declare <2 x double> @llvm.trunc.v2f64(<2 x double>)
declare <4 x float> @llvm.rint.v4f32(<4 x float>)
declare <4 x float> @llvm.sqrt.v4f32(<4 x float>)
declare <4 x float> @llvm.trunc.v4f32(<4 x float>)
declare <8 x i32> @llvm.smax.v8i32(<8 x i32>, <8 x i32>)
declare <8 x i32> @llvm.smin.v8i32(<8 x i32>, <8 x i32>)
declare double @llvm.rint.f64(double)
declare double @llvm.trunc.f64(double)
declare float @llvm.rint.f32(float)
declare float @llvm.sqrt.f32(float)
declare float @llvm.trunc.f32(float)
declare i16 @llvm.vector.reduce.add.v8i16(<8 x i16>)
declare void @llvm.masked.store.v16i8.p0(<16 x i8>, ptr, <16 x i1>)
declare { i32, i1 } @llvm.uadd.with.overflow.i32(i32, i32)
declare { i32, i1 } @llvm.usub.with.overflow.i32(i32, i32)
declare { i64, i1 } @llvm.uadd.with.overflow.i64(i64, i64)
declare { i64, i1 } @llvm.usub.with.overflow.i64(i64, i64)
