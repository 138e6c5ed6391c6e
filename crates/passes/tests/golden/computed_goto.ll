; A label table, with a label listed twice, becomes numbers and a switch.
target triple = "x86_64-unknown-linux-musl"
@table = internal constant [2 x ptr] [ptr blockaddress(@run, %one), ptr blockaddress(@run, %two)]
define i32 @run(i64 %which) {
entry:
  %slot = getelementptr ptr, ptr @table, i64 %which
  %label = load ptr, ptr %slot
  indirectbr ptr %label, [label %one, label %two, label %one]
one:
  %v = phi i32 [ 1, %entry ], [ 1, %entry ]
  ret i32 %v
two:
  ret i32 2
}
