// Gives back what only the start needed, or what is done now and then: pages of code, constants and symbol tables, of this program
// and its libraries, by which it read the configuration, opened the store and looked up symbols, and the heap's free ends. They are
// clean copies of files: what is called again comes back from the page cache, at the cost of one minor fault for sixteen pages. Two
// thirds of the memory that the process holds at rest.
#pragma once

namespace plimsoll {

void give_back_startup_memory();

} // namespace plimsoll
