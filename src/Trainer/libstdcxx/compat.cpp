// The one symbol of libstdc++ 13 that libLibTorchSharp.so needs, for systems with an older libstdc++.
// GCC 13 moved the initialisation of std::cout and its kin from every object file into the library and lets
// object files refer to this function to be sure that it happens; an older library does it through ios_base::Init.
#include <ios>

static std::ios_base::Init initialise_streams;

extern "C" void ios_base_library_init() __asm__("_ZSt21ios_base_library_initv");
extern "C" void ios_base_library_init() {}
