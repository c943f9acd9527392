// Loads what `ibid compile` has made, and asks it for a greeting.
//
//     greet greet.cwasm [NAME]

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wasm.h>
#include <wasmtime.h>

// What the plugin has room for.
#define MAX_REQUEST_BYTES 1024

// Ends the program, with what went wrong and Wasmtime's message, if there is one.
static void fail(const char *what, wasmtime_error_t *error, wasm_trap_t *trap) {
  wasm_byte_vec_t message = {0, NULL};
  if (error != NULL)
    wasmtime_error_message(error, &message);
  else if (trap != NULL)
    wasm_trap_message(trap, &message);
  fprintf(stderr, "%s", what);
  if (message.size > 0)
    fprintf(stderr, ": %.*s", (int)message.size, message.data);
  fprintf(stderr, "\n");
  wasm_byte_vec_delete(&message);
  if (error != NULL)
    wasmtime_error_delete(error);
  if (trap != NULL)
    wasm_trap_delete(trap);
  exit(1);
}

// The compiled module in the file at `path`.
//
// It is machine code, and what it says is done, sandbox or not: load what you
// have made, and nothing from elsewhere.
static wasmtime_module_t *load(wasm_engine_t *engine, const char *path) {
  wasmtime_module_t *module = NULL;
  wasmtime_error_t *error = wasmtime_module_deserialize_file(engine, path, &module);
  if (error != NULL)
    fail("cannot load the module; it has to be compiled with the settings of "
         "this engine, and README.md says which",
         error, NULL);
  return module;
}

// What the plugin exports under `name`, which has to be of that kind.
static wasmtime_extern_t export_of(wasmtime_context_t *context,
                                   const wasmtime_instance_t *instance,
                                   const char *name, wasmtime_extern_kind_t kind) {
  wasmtime_extern_t item;
  if (!wasmtime_instance_export_get(context, instance, name, strlen(name), &item) ||
      item.kind != kind) {
    fprintf(stderr, "the plugin lacks the export `%s`\n", name);
    exit(1);
  }
  return item;
}

// The address that the plugin exports under `name`.
static size_t address(wasmtime_context_t *context, const wasmtime_instance_t *instance,
                      const char *name) {
  wasmtime_extern_t item = export_of(context, instance, name, WASMTIME_EXTERN_GLOBAL);
  wasmtime_val_t value;
  wasmtime_global_get(context, &item.of.global, &value);
  if (value.kind != WASMTIME_I32)
    fail("the plugin's addresses are of another type", NULL, NULL);
  return (uint32_t)value.of.i32;
}

// Prints the plugin's answer to `name`; `greet.wat` says how it is asked.
static void greet(wasm_engine_t *engine, const wasmtime_module_t *module, const char *name) {
  wasmtime_store_t *store = wasmtime_store_new(engine, NULL, NULL);
  wasmtime_context_t *context = wasmtime_store_context(store);
  wasmtime_instance_t instance;
  wasm_trap_t *trap = NULL;
  wasmtime_error_t *error =
      wasmtime_instance_new(context, module, NULL, 0, &instance, &trap);
  if (error != NULL || trap != NULL)
    fail("the plugin does not start", error, trap);

  wasmtime_extern_t memory = export_of(context, &instance, "memory", WASMTIME_EXTERN_MEMORY);
  wasmtime_extern_t handle = export_of(context, &instance, "handle", WASMTIME_EXTERN_FUNC);
  size_t input = address(context, &instance, "input");
  size_t output = address(context, &instance, "output");

  size_t length = strlen(name);
  size_t size = wasmtime_memory_data_size(context, &memory.of.memory);
  if (length > MAX_REQUEST_BYTES || input > size || length > size - input)
    fail("there is no room for a name that long", NULL, NULL);
  memcpy(wasmtime_memory_data(context, &memory.of.memory) + input, name, length);

  wasmtime_val_t argument = {.kind = WASMTIME_I32, .of.i32 = (int32_t)length};
  wasmtime_val_t result;
  error = wasmtime_func_call(context, &handle.of.func, &argument, 1, &result, 1, &trap);
  if (error != NULL || trap != NULL)
    fail("the plugin failed", error, trap);

  // The memory may have grown, and moved.
  size = wasmtime_memory_data_size(context, &memory.of.memory);
  length = (uint32_t)result.of.i32;
  if (output > size || length > size - output)
    fail("the plugin's answer is not in its memory", NULL, NULL);
  const uint8_t *answer = wasmtime_memory_data(context, &memory.of.memory) + output;
  printf("%.*s\n", (int)length, (const char *)answer);
  wasmtime_store_delete(store);
}

int main(int argc, char **argv) {
  if (argc < 2 || argc > 3) {
    fprintf(stderr, "usage: %s greet.cwasm [NAME]\n", argv[0]);
    return 2;
  }
  wasm_engine_t *engine = wasm_engine_new();
  wasmtime_module_t *module = load(engine, argv[1]);
  greet(engine, module, argc == 3 ? argv[2] : "world");
  wasmtime_module_delete(module);
  wasm_engine_delete(engine);
  return 0;
}
