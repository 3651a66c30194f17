#include "startup_memory.hpp"

#include <cstdint>

#include <link.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

namespace plimsoll {
namespace {

// Whether the loader wrote addresses into what is read-only in the file, which are in none. Nobody builds such a library on purpose any more.
bool has_relocated_code(const dl_phdr_info& object) {
    for (int i = 0; i < object.dlpi_phnum; ++i) {
        if (object.dlpi_phdr[i].p_type != PT_DYNAMIC) continue;
        const auto* entry = reinterpret_cast<const ElfW(Dyn)*>(object.dlpi_addr + object.dlpi_phdr[i].p_vaddr);
        for (; entry->d_tag != DT_NULL; ++entry)
            if (entry->d_tag == DT_TEXTREL || (entry->d_tag == DT_FLAGS && (entry->d_un.d_val & DF_TEXTREL) != 0))
                return true;
    }
    return false;
}

// Code, constants and symbol tables: what nobody can have written to. A segment that is writable in the file may be read-only by
// now and still hold relocated addresses (RELRO): those are in no file.
int give_back_segments(dl_phdr_info* object, std::size_t, void*) {
    if (has_relocated_code(*object)) return 0;
    const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
    for (int i = 0; i < object->dlpi_phnum; ++i) {
        const auto& segment = object->dlpi_phdr[i];
        if (segment.p_type != PT_LOAD || (segment.p_flags & PF_W) != 0) continue;
        const std::uintptr_t begin = (object->dlpi_addr + segment.p_vaddr) / page * page;
        const std::uintptr_t end = object->dlpi_addr + segment.p_vaddr + segment.p_filesz;
        ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED); // a wish: where it fails nothing is lost
    }
    return 0;
}

} // namespace

void give_back_startup_memory() {
    ::dl_iterate_phdr(give_back_segments, nullptr);
    ::malloc_trim(0);
}

} // namespace plimsoll
