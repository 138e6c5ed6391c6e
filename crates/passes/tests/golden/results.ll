; A vector that takes four registers where there are no vectors is returned in memory; a pair is not.
target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-unknown-linux-musl"
declare <4 x float> @elsewhere(<4 x float>)
define <4 x float> @wide(<4 x float> %a, i64 %n) {
  %r = call <4 x float> @elsewhere(<4 x float> %a)
  %s = fadd <4 x float> %r, %a
  ret <4 x float> %s
}
define { i64, i64 } @pair(i64 %a, i64 %b) {
  %first = insertvalue { i64, i64 } poison, i64 %a, 0
  %both = insertvalue { i64, i64 } %first, i64 %b, 1
  ret { i64, i64 } %both
}
