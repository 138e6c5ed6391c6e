// Reads and writes records as text: string streams with formats, regular expressions, and exceptions that pass through several
// functions with destructors. The argument is the number of records; a tenth of them is malformed.
#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <iomanip>
#include <iostream>
#include <map>
#include <memory>
#include <regex>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

struct Malformed : std::runtime_error {
    using std::runtime_error::runtime_error;
};

struct Missing : Malformed {
    explicit Missing(const std::string &field) : Malformed("no " + field) {}
};

struct Record {
    std::string name;
    long number = 0;
    double amount = 0;
    std::vector<std::string> tags;
};

std::uint64_t random_number()
{
    static std::uint64_t state = 0x9e3779b97f4a7c15;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

std::string generate(int count)
{
    std::ostringstream out;
    for (int i = 0; i < count; i++) {
        out << "name=" << static_cast<char>('a' + random_number() % 26) << std::setw(5) << std::setfill('0') << i;
        if (random_number() % 20)
            out << "; number=" << (random_number() % 20 ? "" : "x") << random_number() % 100000;
        out << "; amount=" << std::fixed << std::setprecision(3) << static_cast<double>(random_number() % 1000000) / 64;
        out << "; tags=";
        for (auto tags = random_number() % 4; tags > 0; tags--)
            out << std::hex << std::showbase << random_number() % 4096 << std::dec << std::noshowbase << ',';
        out << '\n';
    }
    return out.str();
}

const std::string &field(const std::map<std::string, std::string> &fields, const std::string &name)
{
    auto found = fields.find(name);
    if (found == fields.end())
        throw Missing(name);
    return found->second;
}

long integer(const std::string &text)
{
    std::size_t used = 0;
    long value = std::stol(text, &used);
    if (used != text.size())
        throw Malformed("not all of " + text + " is a number");
    return value;
}

Record parse(const std::string &line)
{
    static const std::regex pair("(\\w+)=([^;]*)(?:;\\s*|$)");
    std::map<std::string, std::string> fields;
    for (std::sregex_iterator match(line.begin(), line.end(), pair), end; match != end; ++match)
        fields.emplace((*match)[1].str(), (*match)[2].str());
    auto record = std::make_unique<Record>();
    record->name = field(fields, "name");
    record->number = integer(field(fields, "number"));
    std::istringstream(field(fields, "amount")) >> record->amount;
    std::istringstream tags(field(fields, "tags"));
    for (std::string tag; std::getline(tags, tag, ',');)
        record->tags.push_back(tag);
    return *record;
}

// Passes a failure on under another name.
Record read(const std::string &line, int number)
{
    try {
        return parse(line);
    } catch (const std::invalid_argument &) {
        throw Malformed("line " + std::to_string(number) + ": no number");
    }
}

}  // namespace

int main(int argc, char **argv)
{
    std::istringstream in(generate(argc > 1 ? std::atoi(argv[1]) : 20000));
    static const std::regex even("[a-z][0-9]*[02468]");
    std::map<std::string, int> failures;
    int records = 0, numbers = 0, names = 0;
    long sum = 0;
    double amounts = 0;
    std::uint64_t digest = 0xcbf29ce484222325;
    for (std::string line; std::getline(in, line);) {
        try {
            Record record = read(line, ++records);
            sum += record.number;
            amounts += record.amount;
            names += std::regex_match(record.name, even);
            std::ostringstream out;
            out << std::left << std::setw(10) << record.name << std::right << std::setw(8) << record.number << ' '
                << std::scientific << record.amount << ' ' << record.tags.size();
            for (unsigned char letter : out.str())
                digest = (digest ^ letter) * 0x100000001b3;
        } catch (const Missing &error) {
            failures[error.what()]++;
        } catch (const Malformed &) {
            numbers++;
        }
    }
    std::cout << records << " records, sum " << sum << ", amounts " << std::setprecision(12) << amounts << ", even " << names
              << ", digest " << std::hex << digest << std::dec << '\n';
    std::cout << numbers << " without a number\n";
    for (const auto &[what, count] : failures)
        std::cout << count << ' ' << what << '\n';
}
