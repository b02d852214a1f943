/// A shared library that is no plug-in.
extern "C" int orrery_tests_nothing() { return 0; }
