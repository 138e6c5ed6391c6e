; Empty barriers stay, without the clobbers of x86 flags; a spin hint goes.
target triple = "x86_64-unknown-linux-musl"
declare void @llvm.x86.sse2.pause()
define i32 @f(i32 %x) {
  call void asm sideeffect "", "~{memory},~{dirflag},~{fpsr},~{flags}"()
  %y = call i32 asm "", "=r,0,~{dirflag},~{fpsr},~{flags}"(i32 %x)
  call void @llvm.x86.sse2.pause()
  ret i32 %y
}
