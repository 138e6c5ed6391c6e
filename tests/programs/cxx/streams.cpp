// Streams: numbers in and out, manipulators, files, several locales' facets, and user-defined operators.
#include "cxx.hpp"
#include <cstdio>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <iterator>
#include <locale>
#include <sstream>
#include <streambuf>
#include <string>
#include <vector>

namespace {

struct Point {
    double x, y;
};
std::ostream &operator<<(std::ostream &out, const Point &point) { return out << '(' << point.x << ", " << point.y << ')'; }
std::istream &operator>>(std::istream &in, Point &point)
{
    char open, comma, close;
    return in >> open >> point.x >> comma >> point.y >> close;
}

struct Grouping : std::numpunct<char> {
    char do_thousands_sep() const override { return '\''; }
    std::string do_grouping() const override { return "\3"; }
    char do_decimal_point() const override { return ','; }
};

// Counts what passes through it.
struct Counting : std::streambuf {
    explicit Counting(std::streambuf *next) : next(next) {}
    int overflow(int c) override
    {
        count++;
        return next->sputc(static_cast<char>(c));
    }
    std::streambuf *next;
    std::uint64_t count = 0;
};

} // namespace

void streams()
{
    Hash hash;
    Random random;
    for (int round = 0; round < 2000; round++) {
        std::stringstream stream;
        stream << std::hex << std::showbase << random() << ' ' << std::dec << std::setw(12) << std::setfill('*') << -5 << ' '
               << std::fixed << std::setprecision(3) << random() / 7.0 << ' ' << std::scientific << 1.0 / (1 + random())
               << ' ' << std::boolalpha << (round % 2 == 0) << ' ' << std::quoted("a \"quoted\" word") << ' '
               << Point{1.5, round / 4.0};
        hash << stream.str();
        std::uint32_t number;
        std::string padded, quoted;
        double fixed, scientific;
        bool flag;
        Point point;
        stream >> std::hex >> number >> std::dec >> padded >> fixed >> scientific >> flag >> std::quoted(quoted) >> point;
        hash << number << padded << static_cast<std::uint64_t>(fixed) << flag << quoted
             << static_cast<std::uint64_t>(point.y * 4) << static_cast<std::uint64_t>(stream.good());
    }
    report("numbers", hash);

    std::locale grouping(std::locale::classic(), new Grouping);
    for (int round = 0; round < 5000; round++) {
        std::ostringstream out;
        out.imbue(grouping);
        out << random() << ' ' << std::put_money(random()) << ' ' << random() / 3.0;
        hash << out.str();
        std::istringstream in("1'234'567 nonsense");
        in.imbue(grouping);
        int number = 0, more = 0;
        in >> number >> more;
        hash << static_cast<std::uint64_t>(number) << static_cast<std::uint64_t>(in.fail());
    }
    report("locales", hash);

    std::string name = std::tmpnam(nullptr);
    {
        std::ofstream out(name);
        for (int i = 0; i < 20000; i++)
            out << i << ':' << random() << '\n';
    }
    {
        std::fstream file(name, std::ios::in | std::ios::out);
        std::string line;
        while (std::getline(file, line))
            hash << line;
        file.clear();
        file.seekp(10);
        file << "changed";
        file.seekg(0);
        std::vector<std::string> words(std::istream_iterator<std::string>(file), {});
        hash << words[1] << words.size() << words[2];
    }
    std::remove(name.c_str());
    report("files", hash);

    Counting counting(std::cout.rdbuf());
    std::streambuf *old = std::cout.rdbuf(&counting);
    for (int i = 0; i < 50; i++)
        std::cout << "cout " << i << (i % 10 == 9 ? '\n' : '\t');
    std::cout.rdbuf(old);
    std::cout << counting.count << std::endl;
    std::wostringstream wide;
    wide << L"wide " << 42 << L' ' << std::setw(6) << 1.5;
    for (wchar_t c : wide.str())
        hash << static_cast<std::uint64_t>(c);
    report("wide", hash);
}
