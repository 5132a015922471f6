"""Reports: where the bits of a text go, and how the compressor stands beside others.

Everything that is measured with a model comes from the codec's own evaluation (`llmzip.report.measure.examine`).
"""
