//! Model router, traffic scenarios and flow exporters for drills and tests.
