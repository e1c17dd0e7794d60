//! Functions by what JavaScript says of exports, in the forms that are shipped.

mod common;

use alligator_find::heap::How;
use alligator_find::names::Role;
use common::{found_with, one, stripped};

const EXPORTS: &str = r#"
    (export "A" (func $malloc)) (export "B" (func $free)) (export "C" (func $realloc))
    (func (export "D") (param i32) (result i32) (i32.const 64))
    (func (export "E") (param i32))"#;

fn assert_found(glue: &str) {
    let heap = found_with(&stripped(EXPORTS), glue);
    for (role, name) in [(Role::Alloc, "A"), (Role::Dealloc, "B")] {
        let function = one(&heap, role);
        assert_eq!(
            (function.found, function.name.as_str()),
            (How::Glue, name),
            "{glue}"
        );
        assert!(function.confirmed.is_some(), "{glue}: {function:?}");
    }
}

#[test]
fn emscriptens_assignments_are_read_in_all_their_forms() {
    for glue in [
        // emcc 2 and 3, plain.
        r#"var _malloc=Module["_malloc"]=function(){return(_malloc=Module["_malloc"]=Module["asm"]["A"]).apply(null,arguments)};
           var _free=Module["_free"]=function(){return(_free=Module["_free"]=Module["asm"]["B"]).apply(null,arguments)};"#,
        // The same, when it is certain that the module is there.
        r#"var _malloc=Module["_malloc"]=asm["A"];var _free=Module["_free"]=asm["B"];"#,
        // emcc 3.1, arrows.
        r#"var _malloc=Module["_malloc"]=a0=>(_malloc=Module["_malloc"]=wasmExports["A"])(a0);
           var _free=Module["_free"]=a0=>(_free=Module["_free"]=wasmExports["B"])(a0);"#,
        // emcc 4, not minified.
        r#"function assignWasmExports(wasmExports){Module["_malloc"]=_malloc=wasmExports["A"];
           Module["_free"]=_free=wasmExports["B"]}"#,
        // By Closure Compiler.
        "h._malloc=function(){return(h._malloc=h.asm.A).apply(null,arguments)};\
         Q=(h._free=function(){return(Q=h._free=h.asm.B).apply(null,arguments)});",
        "ea=k._malloc=c.A;fa=k._free=c.B;k._main=c.D;",
        "e._free=Hh=c.B;e._malloc=Ih=c.A;e._other=c.D;",
        // With assertions.
        r#"Module["_malloc"] = createExportWrapper("A", 1); Module["_free"] = createExportWrapper("B", 1);"#,
        // Of WebIDL.
        "Module._webidl_malloc=c.A;Module._webidl_free=c.B;",
    ] {
        assert_found(glue);
    }
}

#[test]
fn what_is_no_assignment_of_an_export_says_nothing() {
    for glue in [
        "k._malloc==c.A;k._free==c.B",
        "k._malloc=c.Z;k._free=c.Y",
        "k._malloc=c.A.bind;k._free=A",
        "k.malloc=c.A;k.free=c.B",
        "k._malloc=function(n){log(n);return c.A(n)};",
        "// k._malloc=c.A;\n/* k._free=c.B */ '_malloc=c.A'",
        "k._mallocate=c.A;k._freeze=c.B",
        "k._malloc=1,c.A",
    ] {
        let heap = found_with(&stripped(EXPORTS), glue);
        let by_glue = heap
            .functions
            .iter()
            .filter(|function| function.found == How::Glue);
        assert_eq!(by_glue.count(), 0, "{glue}: {heap:?}");
    }
}

const BINDGEN: &str = r#"
    (func (export "__wbindgen_export_0") (param i32 i32) (result i32) (call $malloc (local.get 0)))
    (func (export "__wbindgen_export_1") (param i32 i32 i32 i32) (result i32)
        (call $realloc (local.get 0) (local.get 2)))
    (func (export "__wbindgen_export_2") (param i32 i32 i32) (call $free (local.get 0)))
    (func (export "__wbindgen_export_3") (param i32))
    (func (export "__wbindgen_export_4") (param i32 i32 i32))"#;

#[test]
fn exports_that_wasm_bindgen_hands_to_its_helpers_are_known() {
    let glue = "wasm.__wbindgen_export_3(addHeapObject(e));
        const ptr0 = passStringToWasm0(text, wasm.__wbindgen_export_0, wasm.__wbindgen_export_1);
        wasm.__wbindgen_export_4(arg0, arg1, addHeapObject(arg2));
        wasm.__wbindgen_export_2(deferred2_0, deferred2_1, 1);";
    let heap = found_with(&stripped(BINDGEN), glue);
    for (role, name) in [
        (Role::Alloc, "__wbindgen_export_0"),
        (Role::Realloc, "__wbindgen_export_1"),
        (Role::Dealloc, "__wbindgen_export_2"),
    ] {
        let mut functions = heap.functions.iter();
        let function = functions
            .find(|function| function.role == role && function.found == How::Glue)
            .expect("found");
        assert_eq!(function.name, name);
        assert!(function.confirmed.is_some(), "{function:?}");
    }
}

#[test]
fn other_calls_of_exports_say_nothing() {
    let glue = "f(text, wasm.__wbindgen_export_3, wasm.__wbindgen_export_4);
        wasm.__wbindgen_export_2(a, b, 3); wasm.__wbindgen_export_2(a, b, c);
        wasm.__wbindgen_export_2(1, b, 4); passStringToWasm0(text, wasm.a, wasm.b);
        passStringToWasm0(text, wasm.__wbindgen_export_1, wasm.__wbindgen_export_0);";
    let heap = found_with(&stripped(BINDGEN), glue);
    let by_glue = heap
        .functions
        .iter()
        .filter(|function| function.found == How::Glue);
    assert_eq!(by_glue.count(), 0, "{heap:?}");
}

#[test]
fn any_text_is_read_to_its_end() {
    let bytes = stripped(EXPORTS);
    let glue = "ea=k._malloc=c.A;fa=`${k._free=c.B}`;g=/[/]/;passStringToWasm0(a,b.A,b.C";
    for end in 0..=glue.len() {
        let _ = found_with(&bytes, &glue[..end]);
    }
}
