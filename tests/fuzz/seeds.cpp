// Every seed through its target, without a fuzzer: so that the targets are built and hold with the other tests, and what fuzzing
// found (tests/corpus/http) stays mended. test_fuzz_seeds DIRECTORY: as seeds.py wrote it.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "fuzz/input.hpp"

#define TARGET(name) extern "C" int fuzz_##name(const std::uint8_t* data, std::size_t size)
TARGET(heads);
TARGET(chunks);
TARGET(uwsgi);
TARGET(proxy_protocol);
TARGET(agents);

namespace {

struct Target {
    const char* name;
    int (*run)(const std::uint8_t*, std::size_t);
};
constexpr Target targets[] = {{"heads", fuzz_heads},
                              {"chunks", fuzz_chunks},
                              {"uwsgi", fuzz_uwsgi},
                              {"proxy_protocol", fuzz_proxy_protocol},
                              {"agents", fuzz_agents}};

std::vector<char> bytes_of(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

} // namespace

int main(int argc, char** argv) {
    for (const Target& target : targets) {
        std::size_t seeds = 0;
        const auto directory = std::filesystem::path(argc > 1 ? argv[1] : ".") / target.name;
        for (const auto& entry : std::filesystem::directory_iterator(directory)) {
            auto bytes = bytes_of(entry.path());
            for (int choice = 0; choice < 16 && !bytes.empty(); ++choice) {
                if (choice > 0) bytes[0] = static_cast<char>(choice); // 0: as it is written
                target.run(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
            }
            ++seeds;
        }
        std::printf("%s: %zu seeds\n", target.name, seeds);
        if (seeds == 0) return 1;
    }
    return 0;
}
