#include "program.hpp"

int main(int argc, char** argv) {
    return plimsoll::cli::main(argc, argv, {.serve = plimsoll::serve, .run = plimsoll::run});
}
