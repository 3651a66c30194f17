#include "fleet/stall.hpp"

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>
#include <unistd.h>

namespace plimsoll::fleet {
namespace {

struct Stall : testing::Test {
    Stall() {
        char name[] = "/tmp/plimsoll-stall-XXXXXX";
        root = ::mkdtemp(name);
    }
    ~Stall() override { std::filesystem::remove_all(root); }
    void write(const std::string& path, const std::string& text) {
        std::filesystem::create_directories((root / path).parent_path());
        std::ofstream(root / path) << text;
    }
    static std::string psi(const std::string& full) {
        return "some avg10=99.00 avg60=9.00 avg300=1.00 total=1\nfull avg10=" + full +
               " avg60=50.00 avg300=1.00 total=1\n";
    }
    sense::Cgroup cgroup(const std::string& name) {
        sense::Cgroup found;
        found.path = (root / name).string();
        return found;
    }
    std::optional<double> read(std::vector<sense::Cgroup> cgroups) {
        return read_stall(sense::Reader((root / "proc").string(), (root / "cgroup").string()), cgroups);
    }
    std::filesystem::path root;
};

TEST_F(Stall, where_the_kernel_does_not_tell_it_is_unknown) {
    EXPECT_FALSE(read({}));
    EXPECT_FALSE(read({cgroup("app")}));
}

TEST_F(Stall, the_worst_of_host_and_cgroups_counts) {
    write("proc/pressure/memory", psi("12.50"));
    EXPECT_DOUBLE_EQ(read({}).value(), 0.125);
    write("app/memory.pressure", psi("40.00"));
    write("calm/memory.pressure", psi("0.00"));
    EXPECT_DOUBLE_EQ(read({cgroup("calm"), cgroup("app"), cgroup("gone")}).value(), 0.4);
}

TEST_F(Stall, a_cgroup_of_the_first_version_has_none) {
    write("app/memory.pressure", psi("40.00"));
    sense::Cgroup first = cgroup("app");
    first.version = sense::Cgroup::Version::v1;
    EXPECT_FALSE(read({first}));
}

TEST_F(Stall, a_file_that_says_something_else_is_unknown) {
    write("proc/pressure/memory", "Operation not supported\n");
    EXPECT_FALSE(read({}));
}

} // namespace
} // namespace plimsoll::fleet
