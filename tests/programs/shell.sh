# A workload for a shell: pipes, subshells, background jobs and wait, traps, here documents, command substitution, exec, functions. Prints the
# same every time. $1 is the shell itself, $2 how long loops run.

count() {
    i=0
    sum=0
    while [ $i -lt "$1" ]; do
        i=$((i + 1))
        sum=$(((sum * 31 + i) % 65521))
    done
    echo $sum
}

echo "alone: $(count "$2")"

# A pipe of four processes.
count "$2" | { read -r line; echo "through a pipe: $line"; count "$2"; } | while read -r line; do echo "and another: $line"; done | cat

# Background jobs, whose statuses are waited for.
for number in 1 2 3 4; do
    (count $(($2 * number / 2)) >/dev/null; exit $((number * 3))) &
    eval "job$number=$!"
done
for number in 4 1 3 2; do
    eval "wait \$job$number"
    echo "job $number: $?"
done

# All at once, in a file.
file=${TMPDIR:-/tmp}/maize-shell-$$
for number in 1 2 3; do
    { count "$2"; echo "appended"; } >>"$file" &
done
wait
sort "$file" | uniq -c | sed 's/^ *//'
rm -f "$file"

# Traps, in the shell and in a child.
trap 'echo "trapped USR1"' USR1
trap 'echo "exit trap"' EXIT
kill -USR1 $$
(count "$2" >/dev/null; kill -USR1 $$) &
child=$!
until wait $child; do :; done
$1 -c 'trap "echo child got TERM; exit 5" TERM; kill -TERM $$; while :; do :; done'
echo "status $?"
$1 -c 'while :; do :; done' &
child=$!
count "$2" >/dev/null
kill -TERM $child
wait $child
echo "killed: $?"

# Substitution, here documents, nested subshells.
value=$(echo "$(count "$2") $( (count "$2"; echo inner) | tail -n 1)")
echo "nested: $value"
while read -r word rest; do
    echo "$word: $rest"
done <<END
here is a document
with $(count 100) in it
END
(cd / && (umask 077; umask; pwd); exit 4)
echo "subshell: $?"

# Other programs: the shell again, in place of itself and as a child, and one of the system's.
(exec $1 -c 'echo "executed $0 $1"; exit 6' name argument)
echo "exec: $?"
echo 'echo "from standard input"; exit 7' | $1
echo "status $?"
printf '%s\n' delta alpha charlie bravo | sort | tr '\n' ' '
echo
/nonexistent/program 2>/dev/null
echo "not found: $?"
if false; then echo never; elif test -d /; then echo "done"; fi
exit 8
