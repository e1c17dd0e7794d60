// C++: operator new and the containers come to malloc, aligned ones too.
#include "alligator.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <vector>

struct alignas(256) Wide {
    char bytes[300];
};

int main() {
    std::map<std::string, std::vector<int>> map;
    for (int i = 0; i < 5000; i++) {
        map["a key that is not short " + std::to_string(i % 700)].push_back(i);
    }
    std::size_t sum = 0;
    for (const auto &[key, numbers] : map) {
        sum += key.size() * numbers.size();
    }
    auto wide = std::make_unique<Wide[]>(3);
    bool aligned = reinterpret_cast<std::uintptr_t>(wide.get()) % 256 == 0;
    auto shared = std::make_shared<std::string>(100, 'x');
    std::printf("%zu\n", aligned && shared->size() == 100 ? sum : 0);
    return alligator_reserve(1) ? 0 : 1;
}
