target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-unknown-linux-gnu"

declare <8 x i16> @llvm.x86.sse2.psrl.w(<8 x i16>, <8 x i16>)
declare <4 x float> @llvm.x86.sse.cmp.ps(<4 x float>, <4 x float>, i8 immarg)
declare i32 @llvm.x86.sse2.pmovmskb.128(<16 x i8>)
declare void @llvm.x86.sse2.pause()

define i32 @matches(<16 x i8> %bytes, i8 %wanted) {
  %one = insertelement <16 x i8> poison, i8 %wanted, i64 0
  %all = shufflevector <16 x i8> %one, <16 x i8> poison, <16 x i32> zeroinitializer
  %same = icmp eq <16 x i8> %bytes, %all
  %wide = sext <16 x i1> %same to <16 x i8>
  call void @llvm.x86.sse2.pause()
  %mask = call i32 @llvm.x86.sse2.pmovmskb.128(<16 x i8> %wide)
  ret i32 %mask
}

define <8 x i16> @shift(<8 x i16> %a, <8 x i16> %count) {
  %r = call <8 x i16> @llvm.x86.sse2.psrl.w(<8 x i16> %a, <8 x i16> %count)
  ret <8 x i16> %r
}

; An immediate operand chooses.
define <4 x float> @not_less(<4 x float> %a, <4 x float> %b) {
  %r = call <4 x float> @llvm.x86.sse.cmp.ps(<4 x float> %a, <4 x float> %b, i8 5)
  ret <4 x float> %r
}
