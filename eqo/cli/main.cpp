#include "eqo/cli/command.h"

int main(int argc, char** argv) { return eqo::cli::run(argc, argv); }
