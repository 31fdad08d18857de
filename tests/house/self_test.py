#!/usr/bin/python3
"""The checks find what they are for: each is shown something bad."""
import unittest

import house
import layers
import links
import sizes
import words


class Layers(unittest.TestCase):
    def wrong(self, name, target, quoted=True):
        return layers.problem_of(name, quoted, target, ["match", "tree"])

    def test_upwards(self):
        self.assertIn("above", self.wrong("engine/base/a.c", "config/yaml.h"))
        self.assertIn("above", self.wrong("engine/plugin/a.c", "config/diag.h"))
        self.assertIsNone(self.wrong("engine/cli/a.c", "run/cron.h"))
        self.assertIsNone(self.wrong("engine/run/a.c", "run/cron.h"))

    def test_plugins(self):
        self.assertTrue(self.wrong("plugins/sink-x/a.c", "base/err.h"))
        self.assertIsNone(self.wrong("plugins/sink-x/a.c", "a.h"))
        self.assertIsNone(self.wrong("plugins/source-x/a.c", "match/gitignore.h"))
        self.assertIsNone(self.wrong("plugins/source-x/a.c", "bakengine/plugin.h", False))

    def test_common_and_include(self):
        self.assertTrue(self.wrong("common/tree/a.c", "base/err.h"))
        self.assertTrue(self.wrong("common/tree/a.c", "../../engine/base/err.h"))
        self.assertTrue(self.wrong("include/bakengine/plugin.h", "x.h"))
        self.assertTrue(self.wrong("engine/base/a.c", "base/err.h", False))


class Sizes(unittest.TestCase):
    def test_functions(self):
        text = ('struct x {\n int a;\n};\nstatic int f(int (*g)(void), int b)\n{\n'
                '    return "}" [0] + b; /* } */\n}\nstatic const int t[] = {\n1,\n};\n'
                'void h(void) { }\n#define M(x) {\\\n {\n')
        self.assertEqual(sizes.functions(text), [("f", 5, 3), ("h", 11, 1)])

    def test_long_function(self):
        text = "int f(void)\n{\n" + "    ;\n" * 70 + "}\n"
        self.assertEqual(sizes.functions(text), [("f", 2, 72)])


class Words(unittest.TestCase):
    def found(self, text, name="engine/x/y.c"):
        return [problem for _, problem in words.calls(name, text)]

    def test_calls(self):
        self.assertEqual(len(self.found("strcpy(a, b); x = atoi (s);")), 2)
        self.assertEqual(self.found('/* strcpy(a) */ "system(x)"; my_system(x); o->system(x);'), [])
        self.assertEqual(len(self.found("exit(1);")), 1)
        self.assertEqual(self.found("exit(1); _exit(2);", "engine/cli/main.c"), [])
        self.assertEqual(self.found("pclose(x); snprintf(a); strtok_r(a);"), [])

    def test_bare_keeps_lines(self):
        text = "a /* x\ny */ b\n'\"' c // d\n"
        self.assertEqual(house.bare(text).count("\n"), text.count("\n"))
        self.assertIn("c", house.bare(text))
        self.assertNotIn("d", house.bare(text))


class Links(unittest.TestCase):
    def test_anchors(self):
        self.assertEqual(links.anchors("# A `b` c!\n## A b c\n```\n# no\n```\n"),
                         {"a-b-c", "a-b-c-1"})

    def test_nowhere(self):
        self.assertTrue(links.problem_of("README.md", "no/such/file.md"))
        self.assertIsNone(links.problem_of("README.md", "https://example.org/x"))
        self.assertIsNone(links.problem_of("README.md", "CMakeLists.txt"))


if __name__ == "__main__":
    unittest.main()
