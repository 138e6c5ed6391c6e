; A narrow number that goes round a loop is wide all the way round.
target triple = "x86_64-unknown-linux-musl"
declare i8 @step(i8)
declare i1 @more()
define i8 @round(i8 %first) {
entry:
  br label %loop
loop:
  %state = phi i8 [ %first, %entry ], [ %next, %again ]
  %is_seven = icmp eq i8 %state, 7
  br i1 %is_seven, label %again, label %change
change:
  %changed = call i8 @step(i8 %state)
  br label %again
again:
  %next = phi i8 [ %state, %loop ], [ %changed, %change ]
  %more = call i1 @more()
  br i1 %more, label %loop, label %done
done:
  ret i8 %next
}
