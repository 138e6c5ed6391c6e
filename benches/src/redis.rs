//! What the Redis server is given to do, without a network: an append-only file of commands, which it executes when it starts. The last
//! but one is a script that logs a digest of all data, and the last one ends the server before anything is written.

use anyhow::Result;
use std::fs;
use std::io::Write as _;
use std::path::Path;

/// What the script writes before the digest into the server's log.
pub const MARK: &str = "digest ";

/// For the server, in the directory of its data; no network, no snapshots, and only warnings in the log.
pub const ARGUMENTS: [&str; 14] = [
    "--port",
    "0",
    "--unixsocket",
    "socket",
    "--save",
    "",
    "--appendonly",
    "yes",
    "--appendfsync",
    "no",
    "--appendfilename",
    "commands",
    "--loglevel",
    "warning",
];

/// A digest of all data. Hashes and sets are in an order that differs from run to run.
const DIGEST: &str = "\
local keys = redis.call('KEYS', '*')
table.sort(keys)
local sum = ''
for _, key in ipairs(keys) do
    local kind = redis.call('TYPE', key).ok
    local values
    if kind == 'string' then
        values = {redis.call('GET', key)}
    elseif kind == 'list' then
        values = redis.call('LRANGE', key, 0, -1)
    elseif kind == 'zset' then
        values = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
    elseif kind == 'set' then
        values = redis.call('SMEMBERS', key)
        table.sort(values)
    else
        local pairs = redis.call('HGETALL', key)
        values = {}
        for i = 1, #pairs, 2 do
            values[#values + 1] = pairs[i] .. '=' .. pairs[i + 1]
        end
        table.sort(values)
    end
    sum = redis.sha1hex(sum .. key .. kind .. table.concat(values, ' '))
end
redis.log(redis.LOG_WARNING, 'digest ' .. sum .. ' of ' .. #keys .. ' keys')";

/// Takes from one account and gives to another, and keeps the last transfers.
const TRANSFER: &str = "\
local amount = tonumber(ARGV[1])
if tonumber(redis.call('HGET', KEYS[1], 'balance') or 0) < amount then
    redis.call('HINCRBY', KEYS[1], 'refused', 1)
    return 0
end
redis.call('HINCRBY', KEYS[1], 'balance', -amount)
redis.call('HINCRBY', KEYS[2], 'balance', amount)
redis.call('LPUSH', 'transfers', cjson.encode({from = KEYS[1], to = KEYS[2], amount = amount}))
redis.call('LTRIM', 'transfers', 0, 99)
return 1";

/// Writes the directory of a server's data: so many rounds of commands.
///
/// # Errors
/// If a file cannot be written.
pub fn write_data(directory: &Path, rounds: usize) -> Result<()> {
    let files = directory.join("appendonlydir");
    fs::create_dir_all(&files)?;
    fs::write(files.join("commands.manifest"), "file commands.1.incr.aof seq 1 type i\n")?;
    let mut commands = Vec::new();
    let mut add = |words: &[&str]| {
        write!(commands, "*{}\r\n", words.len())?;
        words.iter().try_for_each(|word| write!(commands, "${}\r\n{word}\r\n", word.len()))
    };
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut below = |limit: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % limit
    };
    for round in 0..rounds {
        let (key, number) = (below(20_000), below(1_000_000).to_string());
        add(&["SET", &format!("key:{key}"), &number.repeat(1 + round % 40)])?;
        add(&["GET", &format!("key:{}", below(20_000))])?;
        add(&["INCRBY", &format!("counter:{}", below(50)), &number])?;
        add(&["APPEND", &format!("log:{}", below(20)), &number])?;
        let list = format!("list:{}", below(20));
        add(&["LPUSH", &list, &number, &round.to_string()])?;
        add(&["LRANGE", &list, "0", "50"])?;
        add(&["LTRIM", &list, "0", "200"])?;
        let scores = format!("scores:{}", below(5));
        add(&["ZADD", &scores, &number, &format!("member:{}", below(2000))])?;
        add(&["ZRANGE", &scores, "0", "20", "WITHSCORES"])?;
        add(&["ZRANK", &scores, &format!("member:{}", below(2000))])?;
        add(&["HSET", &format!("hash:{}", below(100)), &format!("field:{}", below(300)), &number])?;
        add(&["HGET", &format!("hash:{}", below(100)), &format!("field:{}", below(300))])?;
        add(&["SADD", &format!("set:{}", below(10)), &number, &round.to_string()])?;
        let account = |number: u64| format!("account:{number}");
        let (from, to) = (account(below(100)), account(below(100)));
        add(&["HINCRBY", &to, "balance", "10"])?;
        if round % 4 == 0 {
            // Not 0: -0 is no integer to the server, which ends when a command in the file fails.
            add(&["EVAL", TRANSFER, "2", &from, &to, &(1 + below(50)).to_string()])?;
        }
        if round % 100 == 0 {
            add(&["SINTERSTORE", "set:common", "set:0", "set:1"])?;
            add(&["SORT", &list, "DESC", "STORE", "sorted"])?;
        }
    }
    add(&["EVAL", DIGEST, "0"])?;
    add(&["SHUTDOWN", "NOSAVE", "NOW"])?;
    fs::write(files.join("commands.1.incr.aof"), commands)?;
    Ok(())
}
