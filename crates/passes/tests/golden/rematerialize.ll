; An address at a constant offset is computed at its uses, through a chain and into a phi.
target triple = "x86_64-unknown-linux-musl"
declare void @elsewhere(ptr)
define i32 @f(ptr %p, i1 %c) {
entry:
  %a = getelementptr i8, ptr %p, i64 8
  %b = getelementptr i8, ptr %a, i64 16
  br i1 %c, label %one, label %two
one:
  call void @elsewhere(ptr %b)
  br label %two
two:
  %q = phi ptr [ %a, %entry ], [ %b, %one ]
  %v = load i32, ptr %q
  ret i32 %v
}
