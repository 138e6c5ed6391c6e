; A vector that passes by a loop with calls is kept as its words; one that the loop uses is not.
define void @scale(<2 x double> %by, ptr %to, i64 %count) {
entry:
  %factor = fadd <2 x double> %by, %by
  %passing = fmul <2 x double> %by, %by
  br label %loop

loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
  %sum = phi <2 x double> [ zeroinitializer, %entry ], [ %added, %loop ]
  call void @work()
  %added = fadd <2 x double> %sum, %factor
  %next = add i64 %i, 1
  %more = icmp ult i64 %next, %count
  br i1 %more, label %loop, label %done

done:
  %result = fmul <2 x double> %added, %passing
  store <2 x double> %result, ptr %to, align 16
  ret void
}

declare void @work()
