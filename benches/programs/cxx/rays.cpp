// A ray tracer: shapes and materials behind virtual calls, vectors and optics as templates, shared and unique pointers. The argument is
// the width of the picture; what is printed is a digest of it.
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <memory>
#include <optional>
#include <vector>

namespace {

template <typename Number, std::size_t N> struct Vector {
    std::array<Number, N> of{};

    template <typename Operation> Vector with(const Vector &other, Operation operation) const
    {
        Vector result;
        for (std::size_t i = 0; i < N; i++)
            result.of[i] = operation(of[i], other.of[i]);
        return result;
    }

    Vector operator+(const Vector &other) const { return with(other, [](Number a, Number b) { return a + b; }); }
    Vector operator-(const Vector &other) const { return with(other, [](Number a, Number b) { return a - b; }); }
    Vector operator*(const Vector &other) const { return with(other, [](Number a, Number b) { return a * b; }); }
    Vector operator*(Number factor) const { return with({}, [=](Number a, Number) { return a * factor; }); }

    Number dot(const Vector &other) const
    {
        Number sum = 0;
        for (std::size_t i = 0; i < N; i++)
            sum += of[i] * other.of[i];
        return sum;
    }

    Vector normal() const { return *this * (1 / std::sqrt(dot(*this))); }
};

using V = Vector<double, 3>;

struct Ray {
    V origin, direction;
    V at(double distance) const { return origin + direction * distance; }
};

struct Hit {
    double distance;
    V point, normal;
};

class Shape {
public:
    virtual ~Shape() = default;
    virtual std::optional<Hit> meets(const Ray &ray) const = 0;
};

class Sphere final : public Shape {
public:
    Sphere(V center, double radius) : center(center), radius(radius) {}

    std::optional<Hit> meets(const Ray &ray) const override
    {
        V to = center - ray.origin;
        double along = to.dot(ray.direction), square = to.dot(to) - along * along;
        if (square > radius * radius)
            return {};
        double half = std::sqrt(radius * radius - square);
        for (double distance : {along - half, along + half})
            if (distance > 1e-6) {
                V point = ray.at(distance);
                return Hit{distance, point, (point - center) * (1 / radius)};
            }
        return {};
    }

private:
    V center;
    double radius;
};

class Plane final : public Shape {
public:
    Plane(V normal, double height) : normal(normal), height(height) {}

    std::optional<Hit> meets(const Ray &ray) const override
    {
        double slope = normal.dot(ray.direction);
        if (std::fabs(slope) < 1e-9)
            return {};
        double distance = (height - normal.dot(ray.origin)) / slope;
        if (distance <= 1e-6)
            return {};
        return Hit{distance, ray.at(distance), normal};
    }

private:
    V normal;
    double height;
};

class Scene;

class Material {
public:
    virtual ~Material() = default;
    virtual V shade(const Scene &scene, const Ray &ray, const Hit &hit, int depth) const = 0;
};

struct Thing {
    std::unique_ptr<Shape> shape;
    std::shared_ptr<const Material> material;
};

class Scene {
public:
    template <typename S, typename... Arguments>
    void add(std::shared_ptr<const Material> material, Arguments &&...arguments)
    {
        things.push_back({std::make_unique<S>(std::forward<Arguments>(arguments)...), std::move(material)});
    }

    V trace(const Ray &ray, int depth) const
    {
        if (depth == 0)
            return {};
        const Thing *nearest = nullptr;
        Hit hit{std::numeric_limits<double>::infinity(), {}, {}};
        for (const auto &thing : things)
            if (auto found = thing.shape->meets(ray); found && found->distance < hit.distance) {
                hit = *found;
                nearest = &thing;
            }
        if (!nearest)
            return V{{0.4, 0.6, 0.9}} * (0.5 + 0.5 * ray.direction.of[1]);
        return nearest->material->shade(*this, ray, hit, depth);
    }

    // How much of the light arrives at a point.
    double lit(const V &point, const V &normal) const
    {
        V towards = (light - point).normal();
        double cosine = towards.dot(normal);
        if (cosine <= 0)
            return 0;
        for (const auto &thing : things)
            if (thing.shape->meets({point, towards}))
                return 0;
        return cosine;
    }

private:
    std::vector<Thing> things;
    V light{{4, 8, -5}};
};

class Matte final : public Material {
public:
    explicit Matte(V color) : color(color) {}

    V shade(const Scene &scene, const Ray &, const Hit &hit, int) const override
    {
        return color * (0.15 + 0.85 * scene.lit(hit.point, hit.normal));
    }

private:
    V color;
};

// Squares of two other materials.
class Chessboard final : public Material {
public:
    Chessboard(std::shared_ptr<const Material> even, std::shared_ptr<const Material> odd)
        : choices{std::move(even), std::move(odd)} {}

    V shade(const Scene &scene, const Ray &ray, const Hit &hit, int depth) const override
    {
        auto square = static_cast<long>(std::floor(hit.point.of[0]) + std::floor(hit.point.of[2]));
        return choices[square & 1]->shade(scene, ray, hit, depth);
    }

private:
    std::array<std::shared_ptr<const Material>, 2> choices;
};

template <int Percent> class Mirror final : public Material {
public:
    explicit Mirror(std::shared_ptr<const Material> surface) : surface(std::move(surface)) {}

    V shade(const Scene &scene, const Ray &ray, const Hit &hit, int depth) const override
    {
        constexpr double part = Percent / 100.0;
        V away = ray.direction - hit.normal * (2 * ray.direction.dot(hit.normal));
        return scene.trace({hit.point, away.normal()}, depth - 1) * part +
               surface->shade(scene, ray, hit, depth) * (1 - part);
    }

private:
    std::shared_ptr<const Material> surface;
};

}  // namespace

int main(int argc, char **argv)
{
    int width = argc > 1 ? std::atoi(argv[1]) : 320, height = width * 3 / 4;
    auto white = std::make_shared<Matte>(V{{0.9, 0.9, 0.9}});
    auto black = std::make_shared<Matte>(V{{0.1, 0.1, 0.1}});
    auto red = std::make_shared<Matte>(V{{0.9, 0.2, 0.1}});
    Scene scene;
    scene.add<Plane>(std::make_shared<Mirror<20>>(std::make_shared<Chessboard>(white, black)), V{{0, 1, 0}}, -1.0);
    for (int i = 0; i < 12; i++) {
        std::shared_ptr<const Material> material = red;
        if (i % 3 == 1)
            material = std::make_shared<Mirror<80>>(white);
        if (i % 3 == 2)
            material = std::make_shared<Mirror<40>>(red);
        scene.add<Sphere>(material, V{{std::cos(i * 0.9) * 3, -0.5 + i * 0.15, 4 + std::sin(i * 0.9) * 3}}, 0.7);
    }
    std::uint64_t digest = 0xcbf29ce484222325;
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            V direction{{(x - width / 2.0) / width, (height / 2.0 - y) / width, 0.8}};
            for (double part : scene.trace({{{0, 1, -4}}, direction.normal()}, 6).of)
                digest = (digest ^ static_cast<std::uint64_t>(std::fmin(part, 1) * 255)) * 0x100000001b3;
        }
    std::printf("%016llx\n", static_cast<unsigned long long>(digest));
}
