// pugixml: writes a generated document, parses it, asks it by XPath, changes it, and writes it again. The argument is the number of
// rounds; what is printed depends on every result.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <string>

#include "pugixml.hpp"

namespace {

std::uint64_t random_number()
{
    static std::uint64_t state = 0x9e3779b97f4a7c15;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

void generate(pugi::xml_document &document, int orders)
{
    auto root = document.append_child("orders");
    root.append_child(pugi::node_comment).set_value(" generated ");
    for (int i = 0; i < orders; i++) {
        auto order = root.append_child("order");
        order.append_attribute("id") = i;
        order.append_attribute("customer") = ("C" + std::to_string(random_number() % 100)).c_str();
        for (auto items = random_number() % 8 + 1; items > 0; items--) {
            auto item = order.append_child("item");
            item.append_attribute("price") = static_cast<double>(random_number() % 100000) / 8;
            item.append_attribute("quantity") = static_cast<unsigned>(random_number() % 9 + 1);
            std::string text = "fish & chips <number " + std::to_string(random_number() % 1000) + ">";
            item.append_child(pugi::node_pcdata).set_value(text.c_str());
        }
        if (i % 7 == 0)
            order.append_child("note").append_child(pugi::node_cdata).set_value("if (a < b && c > d) ...");
    }
}

std::string written(const pugi::xml_document &document)
{
    std::ostringstream out;
    document.save(out, "  ");
    return out.str();
}

std::uint64_t digest(const std::string &text, std::uint64_t value)
{
    for (unsigned char letter : text)
        value = (value ^ letter) * 0x100000001b3;
    return value;
}

// Counts the elements by a walk over all of them.
struct Counter : pugi::xml_tree_walker {
    bool for_each(pugi::xml_node &node) override
    {
        count += node.type() == pugi::node_element && std::strcmp(node.name(), "item") == 0;
        return true;
    }

    unsigned count = 0;
};

}  // namespace

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? std::atoi(argv[1]) : 20;
    std::uint64_t value = 0xcbf29ce484222325;
    double total = 0;
    std::size_t found = 0;
    for (int round = 0; round < rounds; round++) {
        pugi::xml_document made, document;
        generate(made, 2000);
        std::string text = written(made);
        auto result = document.load_buffer(text.data(), text.size());
        if (!result) {
            std::printf("%s at byte %td\n", result.description(), result.offset);
            return 1;
        }
        pugi::xpath_query sum("sum(item/@price)");
        for (auto order : document.select_nodes("/orders/order[@customer='C42' or count(item) > 6]")) {
            total += sum.evaluate_number(order);
            order.node().append_attribute("large") = true;
            found++;
        }
        for (auto note : document.select_nodes("//order[note and position() mod 3 = 1]/note"))
            note.parent().remove_child(note.node());
        found += document.select_nodes("//item[contains(., 'number 7') and @quantity > 5]").size();
        Counter counter;
        document.traverse(counter);
        value = digest(written(document), value) + counter.count;
    }
    std::printf("%016llx %zu %.3f\n", static_cast<unsigned long long>(value), found, total);
}
