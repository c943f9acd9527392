//! Tests as a project with a plugin has them.

use wasmtime::{Instance, Store};

const GREET: &str = "../plugins/greet.wat";

/// Where the plugin reads and writes.
const INPUT: usize = 1024;
const OUTPUT: usize = 2048;

fn greet(name: &str) -> String {
    let mut store = Store::new(fixture::engine(), ());
    let instance = Instance::new(&mut store, &fixture::module_at(GREET), &[]).unwrap();
    let memory = instance.get_memory(&mut store, "memory").unwrap();
    let handle = instance.get_typed_func::<i32, i32>(&mut store, "handle");
    memory.write(&mut store, INPUT, name.as_bytes()).unwrap();
    let length = handle.unwrap().call(&mut store, name.len() as i32).unwrap();
    let answer = &memory.data(&store)[OUTPUT..][..length as usize];
    String::from_utf8(answer.to_vec()).unwrap()
}

#[test]
fn it_greets_by_name() {
    assert_eq!(greet("Ada"), "Hello, Ada!");
}

#[test]
fn it_greets_nobody() {
    assert_eq!(greet(""), "Hello, !");
}

#[test]
fn it_writes_as_it_is_written_to() {
    assert_eq!(greet("Ægir"), "Hello, Ægir!");
}

#[test]
#[should_panic(expected = "type mismatch")]
fn a_module_that_is_invalid_fails_its_test() {
    fixture::module("(module (func (result i32)))");
}
