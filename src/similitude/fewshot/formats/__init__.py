"""Readers of other data into the examples of few-shot tasks: GLUE tables, CoNLL columns, SQuAD JSON."""

from similitude.fewshot.formats.columns import read_conll
from similitude.fewshot.formats.sampling import few_shot
from similitude.fewshot.formats.squad import read_squad
from similitude.fewshot.formats.tables import read_mnli, read_sst2, read_table

__all__ = ["few_shot", "read_conll", "read_mnli", "read_squad", "read_sst2", "read_table"]
