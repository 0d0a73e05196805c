"""From a candidate to the way it is trained.

A course of another kind imports `Material` and `usual_course` from their own modules, and stands in `COURSES` below.
"""

from searchlab.candidate import Candidate
from searchlab.train.material import Course, Material
from searchlab.train.partitioned import partitioned_course
from searchlab.train.usual import usual_course

__all__ = ["COURSES", "Course", "Material", "course_of"]

COURSES: dict[str, Course] = {"partitioned": partitioned_course}
"""Kind of architecture to its course, where it is not the usual one."""


def course_of(candidate: Candidate) -> Course:
    """The course of a candidate's architecture."""
    return COURSES.get(candidate.architecture.kind, usual_course)
