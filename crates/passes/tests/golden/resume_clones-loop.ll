; A point is passed again after a move, so that its loop is entered at the head alone.
target triple = "x86_64-unknown-linux-musl"
define double @sum(ptr %p, ptr %end, double %scale) {
entry:
  br label %loop
loop:
  %at = phi ptr [ %p, %entry ], [ %next, %loop ]
  %total = phi double [ 0.0, %entry ], [ %added, %loop ]
  %value = load double, ptr %at
  %scaled = fmul double %value, %scale
  %added = fadd double %total, %scaled
  %next = getelementptr i8, ptr %at, i64 8
  %done = icmp eq ptr %next, %end
  br i1 %done, label %exit, label %loop
exit:
  ret double %added
}
