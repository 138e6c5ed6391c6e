// std::filesystem.
#include "cxx.hpp"
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <system_error>

namespace fs = std::filesystem;

void files()
{
    Hash hash;
    Random random;
    std::string pattern = (fs::temp_directory_path() / "maize-XXXXXX").string();
    fs::path root = ::mkdtemp(pattern.data());
    for (int i = 0; i < 200; i++) {
        fs::path path = root / std::to_string(random() % 7) / std::to_string(random() % 5) / ("file" + std::to_string(i));
        fs::create_directories(path.parent_path());
        std::ofstream(path) << std::string(random() % 2000, 'x');
        if (i % 10 == 0)
            fs::create_symlink(path.filename(), path.string() + ".link");
        if (i % 7 == 0)
            fs::copy_file(path, path.string() + ".copy");
    }
    report("created", hash);
    for (int round = 0; round < 10; round++) {
        // Directories list in no certain order.
        std::set<fs::path> found;
        for (const fs::directory_entry &entry : fs::recursive_directory_iterator(root))
            found.insert(entry.path());
        for (const fs::path &path : found) {
            hash << path.lexically_relative(root).string() << static_cast<std::uint64_t>(fs::symlink_status(path).type());
            if (fs::is_regular_file(path))
                hash << fs::file_size(path);
            if (fs::is_symlink(path))
                hash << fs::read_symlink(path).string() << static_cast<std::uint64_t>(fs::equivalent(path, path));
        }
    }
    report("listed", hash);

    fs::rename(root / "1", root / "renamed");
    fs::permissions(root / "renamed", fs::perms::owner_read, fs::perm_options::remove);
    hash << static_cast<std::uint64_t>(fs::status(root / "renamed").permissions());
    fs::permissions(root / "renamed", fs::perms::owner_all);
    hash << static_cast<std::uint64_t>(fs::exists(root / "1")) << static_cast<std::uint64_t>(fs::is_directory(root / "renamed"));
    std::error_code error;
    hash << static_cast<std::uint64_t>(fs::file_size(root / "missing", error)) << error.message();
    for (int i = 0; i < 20000; i++) {
        fs::path path = fs::path("/a/../b/./c") / std::to_string(i) / ".." / "d.txt";
        hash << path.lexically_normal().string() << path.extension().string() << path.stem().string();
    }
    hash << static_cast<std::uint64_t>(fs::remove_all(root)) << static_cast<std::uint64_t>(fs::exists(root));
    report("changed", hash);
}
