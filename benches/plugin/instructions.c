/*
 * A plugin for qemu-user (version 1 of its interface): counts how often each block of instructions is executed, and at the end
 * writes lines of "address instructions" to the file given as output=. The interface is declared here, since Debian does not package its header.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct qemu_plugin_tb;
enum { QEMU_PLUGIN_INLINE_ADD_U64 = 0 };
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *block);
void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t plugin, void (*callback)(uint64_t, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *block, int operation, void *number, uint64_t operand);
void qemu_plugin_register_atexit_cb(uint64_t plugin, void (*callback)(uint64_t, void *), void *data);
int qemu_plugin_install(uint64_t plugin, const void *information, int argc, char **argv);

int qemu_plugin_version = 1;

/* A block as translated; one that is translated anew is another one. */
struct block {
    uint64_t address, instructions, executions;
    struct block *next;
};

static struct block *blocks;
static const char *output;

static void translated(uint64_t plugin, struct qemu_plugin_tb *translation)
{
    (void)plugin;
    struct block *block = calloc(1, sizeof *block);
    if (!block)
        abort();
    block->address = qemu_plugin_tb_vaddr(translation);
    block->instructions = qemu_plugin_tb_n_insns(translation);
    block->next = blocks;
    blocks = block;
    qemu_plugin_register_vcpu_tb_exec_inline(translation, QEMU_PLUGIN_INLINE_ADD_U64, &block->executions, 1);
}

static void ended(uint64_t plugin, void *data)
{
    (void)plugin;
    (void)data;
    FILE *file = fopen(output, "w");
    if (!file) {
        perror(output);
        return;
    }
    for (struct block *block = blocks; block; block = block->next)
        fprintf(file, "%" PRIx64 " %" PRIu64 "\n", block->address, block->instructions * block->executions);
    fclose(file);
}

int qemu_plugin_install(uint64_t plugin, const void *information, int argc, char **argv)
{
    (void)information;
    for (int i = 0; i < argc; i++)
        if (strncmp(argv[i], "output=", 7) == 0)
            output = strdup(argv[i] + 7);
    if (!output) {
        fprintf(stderr, "the plugin needs output=FILE\n");
        return -1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(plugin, translated);
    qemu_plugin_register_atexit_cb(plugin, ended, NULL);
    return 0;
}
