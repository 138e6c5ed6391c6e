target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-unknown-linux-gnu"

declare <32 x i8> @llvm.x86.avx2.pshuf.b(<32 x i8>, <32 x i8>)

; The processor has no extensions.
define i32 @detect(i32 %leaf) {
  %r = call { i32, i32, i32, i32 } asm sideeffect inteldialect "mov ${0:q}, rbx\0Acpuid\0Axchg ${0:q}, rbx", "=&r,=&{ax},=&{cx},=&{dx},1,2,~{memory}"(i32 %leaf, i32 0)
  %ebx = extractvalue { i32, i32, i32, i32 } %r, 0
  %edx = extractvalue { i32, i32, i32, i32 } %r, 3
  %sum = or i32 %ebx, %edx
  ret i32 %sum
}

; Never called.
define void @fast(ptr %p) #0 {
entry:
  br label %loop

loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
  %v = load <32 x i8>, ptr %p, align 1
  %s = call <32 x i8> @llvm.x86.avx2.pshuf.b(<32 x i8> %v, <32 x i8> %v)
  store <32 x i8> %s, ptr %p, align 1
  %next = add i64 %i, 1
  %more = icmp ult i64 %next, 8
  br i1 %more, label %loop, label %end

end:
  ret void
}

; Every processor can do this.
define void @baseline(ptr %p) #1 {
  store i8 1, ptr %p, align 1
  ret void
}

attributes #0 = { "target-cpu"="x86-64" "target-features"="+sse,+sse2,+avx,+avx2" }
attributes #1 = { "target-cpu"="x86-64" "target-features"="+sse,+sse2" }
