// Virtual functions, several and virtual bases, thunks, run-time type information, pointers to members.
#include "cxx.hpp"
#include <array>
#include <memory>
#include <string>
#include <typeindex>
#include <typeinfo>
#include <vector>

namespace {

struct Shape {
    virtual ~Shape() = default;
    virtual double area() const = 0;
    virtual Shape *clone() const = 0;
    std::uint64_t id = 0;
};
struct Named {
    virtual ~Named() = default;
    virtual std::string name() const { return "named"; }
    virtual Named *self() { return this; }
};
struct Square : Shape, Named {
    explicit Square(double side) : side(side) {}
    double area() const override { return side * side; }
    // Covariant results need thunks that adjust what is returned.
    Square *clone() const override { return new Square(*this); }
    std::string name() const override { return "square"; }
    Square *self() override { return this; }
    double side;
};
struct Cube final : Square {
    using Square::Square;
    double area() const override { return 6 * Square::area(); }
    Cube *clone() const override { return new Cube(*this); }
    std::string name() const override { return "cube"; }
    Cube *self() override { return this; }
};

struct Base {
    explicit Base(int n) : number(n) {}
    virtual ~Base() { destroyed += number; }
    virtual int value() const { return number; }
    int number;
    static inline std::int64_t destroyed = 0;
};
struct Left : virtual Base {
    explicit Left(int n) : Base(n), left(n + 1) {}
    int value() const override { return left; }
    int left;
};
struct Right : virtual Base {
    explicit Right(int n) : Base(n), right(n + 2) {}
    virtual int other() const { return right + number; }
    int right;
};
struct Bottom : Left, Right {
    explicit Bottom(int n) : Base(10 * n), Left(n), Right(n), seen(value()) {}
    int value() const override { return Left::value() + right + number; }
    int other() const override { return -Right::other(); }
    int seen;
};

struct Machine {
    int state = 0;
    void add(int n) { state += n; }
    void twist(int n) { state = state * 3 ^ n; }
    virtual void flip(int n) { state = ~state + n; }
    virtual ~Machine() = default;
};
struct Inverted : Machine {
    void flip(int n) override { state = -state - n; }
};

std::uint64_t walk(const std::vector<std::unique_ptr<Shape>> &shapes)
{
    Hash hash;
    for (const auto &shape : shapes) {
        std::unique_ptr<Shape> copy(shape->clone());
        hash << static_cast<std::uint64_t>(copy->area() * 64) << shape->id;
        if (auto *named = dynamic_cast<Named *>(copy.get()))
            hash << named->name() << static_cast<std::uint64_t>(named->self() == named);
        if (auto *cube = dynamic_cast<Cube *>(copy.get()))
            hash << static_cast<std::uint64_t>(cube->side);
        const Shape &object = *copy;
        hash << typeid(object).name() << static_cast<std::uint64_t>(typeid(object) == typeid(Square));
    }
    return hash.value;
}

} // namespace

void classes()
{
    Hash hash;
    Random random;
    std::vector<std::unique_ptr<Shape>> shapes;
    for (int i = 0; i < 500; i++) {
        if (random() % 2)
            shapes.push_back(std::make_unique<Square>(random() % 100));
        else
            shapes.push_back(std::make_unique<Cube>(random() % 100));
        shapes.back()->id = random();
    }
    for (int round = 0; round < 100; round++)
        hash << walk(shapes);
    report("shapes", hash);

    for (int round = 0; round < 100000; round++) {
        Bottom bottom(round % 1000);
        Base *base = &bottom;
        Right *right = dynamic_cast<Right *>(base);
        Left *left = dynamic_cast<Left *>(right);
        hash << base->value() << right->other() << left->value() << bottom.seen;
        hash << static_cast<std::uint64_t>(dynamic_cast<Bottom *>(left) == &bottom);
        hash << static_cast<std::uint64_t>(dynamic_cast<const void *>(right) == &bottom);
    }
    hash << static_cast<std::uint64_t>(Base::destroyed);
    report("virtual bases", hash);

    using Step = void (Machine::*)(int);
    constexpr std::array<Step, 3> steps = {&Machine::add, &Machine::twist, &Machine::flip};
    int Machine::*state = &Machine::state;
    Machine plain;
    Inverted inverted;
    for (int round = 0; round < 1000000; round++) {
        Step step = steps[random() % steps.size()];
        (plain.*step)(round);
        (inverted.*step)(plain.*state);
    }
    hash << plain.state << inverted.state;
    hash << static_cast<std::uint64_t>(std::type_index(typeid(inverted)) == std::type_index(typeid(Inverted)));
    report("members", hash);
}
