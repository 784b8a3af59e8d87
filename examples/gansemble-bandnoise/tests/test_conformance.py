from gansemble.testing import for_plugin

test_plugin = for_plugin("bandnoise")
test_single_part = for_plugin("gansemble-bandnoise")
