#include "worker/exec/keeper.h"

int main() {
  return overwinter::worker::exec::run_keeper();
}
