// std::format, std::regex, std::chrono's calendar, conversions between text and numbers.
#include "cxx.hpp"
#include <charconv>
#include <chrono>
#include <cstdio>
#include <format>
#include <regex>
#include <string>
#include <system_error>

void text()
{
    Hash hash;
    Random random;
    for (int round = 0; round < 10000; round++) {
        double number = (random() - 8e6) / (1 + random() % 1000);
        hash << std::format("{:>12.4f}|{:<8}|{:^9}|{:#x}|{:+e}|{}", number, round, "mid", random(), number, number);
        hash << std::format("{:*^{}}|{:08b}|{:c}|{:?}", "width", 5 + round % 20, random() % 256, 'a' + round % 26, "a\tb");
    }
    report("format", hash);

    for (int round = 0; round < 30000; round++) {
        char buffer[64];
        double number = random() / (1.0 + random());
        auto [end, error] = std::to_chars(buffer, buffer + sizeof buffer, number);
        hash << std::string_view(buffer, end);
        double back;
        std::from_chars(buffer, end, back);
        hash << static_cast<std::uint64_t>(back == number && error == std::errc());
        end = std::to_chars(buffer, buffer + sizeof buffer, number, std::chars_format::hex).ptr;
        hash << std::string_view(buffer, end);
        end = std::to_chars(buffer, buffer + sizeof buffer, number * 1e30, std::chars_format::scientific, 20).ptr;
        hash << std::string_view(buffer, end) << static_cast<std::uint64_t>(std::stod(std::to_string(number)));
        int parsed = 0;
        std::from_chars(buffer, buffer + 1, parsed);
        hash << static_cast<std::uint64_t>(parsed);
    }
    report("conversions", hash);

    const std::regex address(R"((\w+)@(\w+)\.(com|org|net))"), numbers(R"(\b\d{2,4}\b)", std::regex::optimize);
    std::string line = "write to alice@example.org or bob@test.com before 2024, or call 12 34567 89";
    for (int round = 0; round < 300; round++) {
        line[round % line.size()] = static_cast<char>('a' + round % 26);
        for (auto match = std::sregex_iterator(line.begin(), line.end(), address); match != std::sregex_iterator(); ++match)
            hash << match->str(1) << match->str(2) << match->str(3);
        hash << std::regex_replace(line, numbers, "<$&>");
    }
    report("regex", hash);

    using namespace std::chrono;
    for (int round = 0; round < 3000; round++) {
        sys_days day = sys_days(year(1970) / January / 1) + days(random() % 40000);
        year_month_day date(day);
        hash << std::format("{:%F %A %j}", day) << std::format("{}", date + months(round % 12));
        hash << std::format("{:%H:%M:%S}", milliseconds(random())) << static_cast<std::uint64_t>(weekday(day).c_encoding());
        hash << static_cast<std::uint64_t>(duration_cast<minutes>(hours(round) + seconds(59)).count());
    }
    report("chrono", hash);
    auto start = steady_clock::now();
    auto now = steady_clock::now();
    std::printf("%d %d\n", now >= start, system_clock::now() > sys_days(year(2020) / May / 1));
}
