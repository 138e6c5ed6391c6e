// Tells LLVM's register allocators that the call of a migration point preserves every register.
//
// The runtime's `__maize_point` does, on every ISA, but no calling convention says so on all of them: RISC-V has none that keeps the registers which
// calls do not save. So the masks of these calls are replaced when instructions have been selected.

#include "llvm/CodeGen/MachineFunction.h"
#include "llvm/CodeGen/MachineFunctionPass.h"
#include "llvm/CodeGen/MachineOperand.h"
#include "llvm/CodeGen/Passes.h"
#include "llvm/CodeGen/TargetPassConfig.h"
#include "llvm/CodeGen/TargetRegisterInfo.h"
#include "llvm/CodeGen/TargetSubtargetInfo.h"
#include "llvm/InitializePasses.h"
#include "llvm/PassRegistry.h"
#include "llvm/Target/RegisterTargetPassConfigCallback.h"

#include <vector>

using namespace llvm;

namespace {

// maize_abi::symbols::POINT
constexpr StringRef point = "__maize_point";

class PointMasks : public MachineFunctionPass {
public:
  static char ID;

  PointMasks() : MachineFunctionPass(ID) {}

  StringRef getPassName() const override { return "Maize: masks of migration points"; }

  void getAnalysisUsage(AnalysisUsage &usage) const override {
    usage.setPreservesAll();
    MachineFunctionPass::getAnalysisUsage(usage);
  }

  bool runOnMachineFunction(MachineFunction &function) override {
    bool changed = false;
    for (MachineBasicBlock &block : function)
      for (MachineInstr &instruction : block)
        changed |= instruction.isCall() && callsPoint(instruction) && preserveAll(function, instruction);
    return changed;
  }

private:
  static bool callsPoint(const MachineInstr &call) {
    return any_of(call.operands(), [](const MachineOperand &operand) {
      return operand.isGlobal() && operand.getGlobal()->getName() == point;
    });
  }

  // A bit for each register of the ISA, and none beyond. Other passes remember masks by their addresses, beyond one function.
  std::vector<uint32_t> everyRegister;

  bool preserveAll(const MachineFunction &function, MachineInstr &call) {
    if (everyRegister.empty()) {
      unsigned registers = function.getSubtarget().getRegisterInfo()->getNumRegs();
      everyRegister.resize(MachineOperand::getRegMaskSize(registers));
      // The first is no register.
      for (unsigned number = 1; number < registers; ++number)
        everyRegister[number / 32] |= 1u << number % 32;
    }
    auto masks = make_filter_range(call.operands(), [](const MachineOperand &operand) { return operand.isRegMask(); });
    if (masks.empty())
      return false;
    masks.begin()->setRegMask(everyRegister.data());
    return true;
  }
};

char PointMasks::ID = 0;

} // namespace

// Has every code generation that begins after this do so. To be called once.
extern "C" void maize_preserve_registers_at_points() {
  static RegisterPass<PointMasks> pass("maize-point-masks", "Masks of migration points");
  static RegisterTargetPassConfigCallback callback(
      [](TargetMachine &, PassManagerBase &, TargetPassConfig *config) {
        config->insertPass(&FinalizeISelID, &PointMasks::ID);
      });
}
