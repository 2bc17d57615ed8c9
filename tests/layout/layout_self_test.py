"""Plants one violation of each rule in a small tree and expects it, and nothing else, to be named.

    python3 tests/layout/layout_self_test.py
"""
import os
import sys
import tempfile
import unittest

import checks
import rules
import source_text

GOOD = {
    "common/base/README.md": "# common/base\nUses: the standard library.\n",
    "common/base/result.h": "#pragma once\n#include <string>\n#include <fmt/core.h>\n",
    "common/base/result.cpp": '#include "common/base/result.h"\n#include <unistd.h>\n',
    "common/security/README.md": "# common/security\n`token.h` is `common/security/token.h`. May use: base (`result.h`); `openssl/evp.h`.\n",
    "common/security/token.h": '#pragma once\n#include "common/base/result.h"\n',
    "common/security/token.cpp": '#include "common/security/token.h"\n#include <openssl/evp.h>\n',
    "coordinator/core/README.md": "# coordinator/core: x\nOne `known`, `core::known()`. May use `common/base`.\n",
    "coordinator/core/event.h": '#pragma once\n#include "common/base/result.h"\n',
    "coordinator/core/event.cpp": '#include "coordinator/core/event.h"\n// rand() is for others\n'
                                  "namespace a {\nnamespace {\nint known(int);\n}\n}\n",
    "coordinator/core/main.cpp": "namespace a {\nnamespace {\nint known() { return 1; }\n}\n}\n",
    "coordinator/rpc/README.md": "# coordinator/rpc\n\nMay use: core,\nproto; and, beyond that, `common/rpc`. No notify.\n",
    "coordinator/rpc/job_service.h":
        '#pragma once\n#include "overwinter/v1/job.grpc.pb.h"\n#include <grpcpp/grpcpp.h>\n',
    "coordinator/rpc/job_service.cpp":
        '#include "coordinator/rpc/job_service.h"\n#include "coordinator/core/event.h"\n',
    "tests/unit/coordinator/core/event_replay_test.cpp":
        '#include "coordinator/core/event.h"\n#include <gtest/gtest.h>\n'
        '#include "tests/support/builders.h"\n',
    "tests/support/builders.h": '#pragma once\n#include "coordinator/core/event.h"\n',
    "deploy/quick-start.sh": "sleep 1\n",
    "cmake/room_list.cmake": "room(common/base LIBRARIES fmt::fmt)\n"
                             "room(coordinator/core JOIN USES common/base)\n",
}


def body(lines, head="int f() {", tail="}"):
    return "\n".join([head] + ["  g();"] * (lines - 2) + [tail]) + "\n"


# (check, file, its text or what is added to it, what the line must say)
PLANTED = [
    ("rooms", "common/extra/x.h", "#pragma once\n", "no room of the table"),
    ("includes", "common/base/result.h", '+#include "coordinator/core/event.h"\n',
     "common/base may not use coordinator/core"),
    ("includes", "coordinator/core/event.cpp", '+#include "common/security/token.h"\n',
     "may not use common/security"),
    ("includes", "coordinator/core/event.cpp", '+#include "overwinter/v1/job.pb.h"\n',
     "may not use proto"),
    ("includes", "coordinator/core/event.cpp", '+#include "event.h"\n', "include from the root"),
    ("includes", "tests/unit/coordinator/core/event_replay_test.cpp",
     '+#include "common/security/token.h"\n', "may not use common/security"),
    ("includes", "tests/simulation/world.cpp", '+#include "coordinator/rpc/job_service.h"\n',
     "tests/simulation may not use coordinator/rpc"),
    ("libraries", "coordinator/rpc/job_service.cpp", "+#include <sqlite3.h>\n",
     "may not include sqlite"),
    ("libraries", "coordinator/core/event.cpp", "+#include <grpcpp/grpcpp.h>\n",
     "may not include grpc"),
    ("libraries", "coordinator/core/event.cpp", "+#include <sys/socket.h>\n",
     "may not include posix"),
    ("libraries", "coordinator/core/event.cpp", "+#include <gtest/gtest.h>\n",
     "may not include gtest"),
    ("libraries", "common/security/token.cpp", "+#include <boost/beast/http.hpp>\n",
     "may not include beast"),
    ("libraries", "common/security/token.cpp", "+#include <curl/curl.h>\n", "no library of the table"),
    ("heavy", "coordinator/app/main.cpp", '+#include "coordinator/rpc/job_service.h"\n',
     "reaches grpc through coordinator/rpc/job_service.h"),
    ("pure", "coordinator/core/event.cpp", "+#include <thread>\n", "may not include <thread>"),
    ("pure", "coordinator/core/event.cpp", "+auto t = std::chrono::steady_clock::now();\n",
     "may not use steady_clock"),
    ("room_list", "cmake/room_list.cmake", "+room(common/domain USES common/base coordinator/core)\n",
     "common/domain may not use coordinator/core"),
    ("room_list", "cmake/room_list.cmake", "+room(common/domain\n  LIBRARIES SQLite::SQLite3)\n",
     "may not link SQLite::SQLite3"),
    ("room_list", "cmake/room_list.cmake", "+room(common/other)\n", "no room of the table"),
    ("room_list", "cmake/room_list.cmake", "+room(common/security LIBRARIES OpenSSL::SSL)\n",
     "includes from common/base and does not link it"),
    ("readme_names", "coordinator/core/README.md", "+`events.cpp`\n", "no file of this tree"),
    ("readme_names", "coordinator/core/README.md", "+`rpc/event.h` turns\n", "no file of this tree"),
    ("readme_names", "coordinator/core/README.md", "+`Gone::unknown()`\n", "stands nowhere in the code"),
    ("may_use", "coordinator/core/README.md", "core\n", "does not say what the room may use"),
    ("may_use", "coordinator/core/README.md", "Uses: base, store.\n", "says that it may use coordinator/store"),
    ("may_use", "coordinator/core/README.md", "Uses: the (base) standard library.\n",
     "does not say that it uses common/base"),
    ("file_size", "common/base/long.cpp", "// x\n" * 801, "801 lines, at most 800"),
    ("function_size", "common/base/long.cpp", body(71), "71 lines, at most 70: int f()"),
    ("function_size", "common/base/long.cpp",
     'namespace a {\nclass C {\n  C() : x_{1}, s_("}") {\n' + "    g();\n" * 70 + "  }\n};\n}\n",
     "72 lines, at most 70"),
    ("names", "common/base/camelCase.cpp", "\n", "snake_case"),
    ("names", "common/base/two-words.h", "#pragma once\n", "snake_case"),
    ("names", "deploy/Quick.sh", "\n", "snake_case"),
    ("pragma_once", "common/base/bare.h", "// #pragma twice\n", "no #pragma once"),
    ("readme", "common/domain/x.h", "#pragma once\n", "no README.md"),
    ("readme", "common/base/README.md", "#common / base\n", "does not begin with"),
    ("mirror", "tests/unit/common/base/other_test.cpp", "\n", "mirrors no file of common/base"),
    ("mirror", "tests/unit/result_test.cpp", "\n", "mirrors no file of any room"),
    ("banned_words", "common/base/result.h", "+// TO" "DO: more\n", "finish it"),
    ("banned_words", "proto/a.proto", "// FIX" "ME\n", "finish it"),
    ("banned_words", "deploy/quick-start.sh", "+# X" "XX\n", "finish it"),
    ("banned_words", "common/base/result.cpp", '+const char* p = "Not ' 'implemented";\n',
     "finish it"),
    ("no_sleep", "tests/support/builders.h", "+inline void w() { std::this_thread::sleep_for(d); }\n",
     "a test sleeps"),
    ("no_sleep", "tests/integration/kill.py", "import time\ntime.sleep(1)\n", "a test sleeps"),
    ("no_sleep", "tests/integration/kill.sh", "run & sleep 1\n", "a test sleeps"),
    ("portable", "cmake/compiler.cmake", "add_compile_options(-march=" "native)\n", "at run time"),
]


IN_A = "namespace a {\nnamespace {\n%s\n}\n}\n"
PLANTED += [("unnamed", "coordinator/core/fact.cpp", IN_A % text, text_said) for text, text_said in (
    ("bool known(const T& t) {\n  return t;\n}", "known stands in coordinator/core/event.cpp too"),
    ("template <class T, class U = V<T>>\nstd::vector<T> known(T);", "known stands in"),
    ("[[nodiscard]] constexpr int known(int x) noexcept { return x; }", "known stands in"),
    ("constexpr int known = 3;", "known stands in"),
    ("const std::map<int, T> known{{1, {2}}, {3, {4}}};", "known stands in"),
    ("struct known {\n  int other = 0;\n};", "known stands in"),
)] + [("unnamed", "coordinator/core/fact.cpp", "namespace a {\nstatic int known(int x) { return x; }\n}\n",
       "known stands in")]


def write(root, files):
    for path, text in files.items():
        full = os.path.join(root, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", encoding="utf-8") as file:
            file.write(text)


def found_in(files, only=None):
    with tempfile.TemporaryDirectory() as root:
        write(root, files)
        tree = checks.Tree(root)
        return [(name, path, line, what) for name, check in checks.CHECKS.items()
                if only in (None, name) for path, line, what in check(tree)]


class LayoutChecks(unittest.TestCase):
    def test_a_good_tree_passes(self):
        self.assertEqual(found_in(GOOD), [])

    def test_each_planted_violation_is_named(self):
        for check, path, text, said in PLANTED:
            with self.subTest(check=check, path=path, text=text[:40]):
                files = dict(GOOD)
                files[path] = files.get(path, "") + text[1:] if text.startswith("+") else text
                found = found_in(files, check)
                self.assertEqual([f[1] for f in found], [os.path.dirname(path)
                                 if check in ("rooms", "readme") and path.endswith(".h") else path])
                self.assertIn(said, found[0][3])

    def test_the_line_is_the_one_of_the_violation(self):
        files = dict(GOOD)
        files["common/base/result.cpp"] += "\n/* two\nlines */\n#include <sqlite3.h>\n"
        self.assertEqual(found_in(files, "libraries")[0][2], 6)

    def test_cycles_are_found_over_several_rooms(self):
        files = dict(GOOD)
        files["common/base/result.cpp"] += '#include "common/security/token.h"\n'
        found = found_in(files, "cycles")
        self.assertEqual(len(found), 1)
        self.assertIn("common/base -> common/security -> common/base", found[0][3])

    def test_a_test_over_several_files_has_its_own_name(self):
        files = dict(GOOD)
        files["coordinator/core/fact.h"] = "#pragma once\n"
        both = '#include "coordinator/core/event.h"\n#include "coordinator/core/fact.h"\n'
        files["tests/unit/coordinator/core/replay_test.cpp"] = both
        self.assertEqual(found_in(files, "mirror"), [])

    def test_what_others_may_call_too_is_no_name_of_its_own(self):
        files = dict(GOOD)
        for text in ("namespace a {\nint known(int x) { return x; }\n}\n",
                     "namespace a {\nstruct S {\n  static int known();\n  int of = known();\n};\n}\n",
                     "namespace a {\nint S::known(int x) {\n  return known(x);\n}\n}\n",
                     "namespace b {\nnamespace {\nint known();\n}\n}\n",
                     IN_A % "int other(int known) {\n  const int known = 1;\n  return known;\n}",
                     IN_A % "using known = int;\nint x[] = {known(1), known(2)};"):
            files["coordinator/core/fact.cpp"] = text
            self.assertEqual(found_in(files, "unnamed"), [], text)

    def test_rooms_that_are_not_joined_may_repeat_names(self):
        files = dict(GOOD)
        for name in ("token", "other"):
            files[f"common/security/{name}.cpp"] = IN_A % "int known();"
        self.assertEqual(found_in(files, "unnamed"), [])

    def test_wiring_may_include_from_tests_in_the_test_build_alone(self):
        files = dict(GOOD)
        files["tests/worker_test/lying.h"] = "#pragma once\n"
        include = '#include "tests/worker_test/lying.h"\n'
        switched = f"#ifdef OVERWINTER_TEST_SWITCHES\n{include}#endif\n"
        files["worker/app/main.cpp"] = switched
        self.assertEqual(found_in(files, "includes"), [])
        files["worker/app/main.cpp"] = switched + include
        self.assertEqual([f[2] for f in found_in(files, "includes")], [4])
        files["worker/app/main.cpp"] = "#ifndef OVERWINTER_TEST_SWITCHES\n" + include + "#endif\n"
        self.assertEqual(len(found_in(files, "includes")), 1)
        files["worker/app/main.cpp"] = "\n"
        files["common/base/result.cpp"] = switched
        self.assertEqual(len(found_in(files, "includes")), 1)

    def test_every_check_has_a_planted_violation(self):
        self.assertEqual({p[0] for p in PLANTED} | {"cycles"}, set(checks.CHECKS))

    def test_ctest_runs_every_check(self):
        here = os.path.dirname(os.path.abspath(__file__))
        with open(os.path.join(here, "CMakeLists.txt"), encoding="utf-8") as file:
            listed = file.read().split("foreach(check ")[1].split(")")[0].split()
        self.assertEqual(sorted(listed), sorted(checks.CHECKS))

    def test_the_table_itself_has_no_cycle(self):
        for room in rules.MAY_USE:
            seen, ahead = set(), [room]
            while ahead:
                for used in rules.MAY_USE.get(ahead.pop(), ()):
                    self.assertNotEqual(used, room, f"{room} reaches itself")
                    if used not in seen:
                        seen.add(used)
                        ahead.append(used)


class FunctionExtents(unittest.TestCase):
    def lengths(self, text):
        return [lines for _, lines, _ in source_text.functions(text)]

    def test_what_is_a_function(self):
        self.assertEqual(self.lengths(body(70)), [70])
        self.assertEqual(self.lengths("struct S {\n  int a;\n  int f() const {\n  }\n};\n"), [2])
        self.assertEqual(self.lengths('constexpr T kTable[] = {\n  {1, f(2)},\n  {3, 4},\n};\n'), [])
        self.assertEqual(self.lengths("void f() {\n  auto g = [] {\n    if (x) { y(); }\n  };\n}\n"), [5])
        self.assertEqual(self.lengths("TEST(A, B) {\n}\nTEST(A, C) {\n\n}\n"), [2, 3])
        self.assertEqual(self.lengths("struct A f(int x) {\n}\n"), [2])

    def test_braces_in_text_do_not_count(self):
        text = 'void f() {\n  g("}{{", \'{\', R"(}}}\n)");  // }\n  n = 1\'000\'000;\n}\nvoid h() {\n}\n'
        self.assertEqual(self.lengths(text), [5, 2])

    def test_a_signature_of_several_lines_counts(self):
        self.assertEqual(self.lengths("\n\nint f(int a,\n      int b) {\n}\n"), [3])


if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    unittest.main()
