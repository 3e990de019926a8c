//! The only file that names DataFusion.
