"""The real tables of the corpus."""

from __future__ import annotations

import polars as pl

from ruleout._errors import need
from ruleout.bench.corpus._dataset import DataSet, data_set, table

_BINARY = ("accuracy", "roc_auc", "f1", "log_loss", "recall", "precision")
_TABULAR = ("linear", "boosted", "forest", "neural")


@data_set("adult")
def adult() -> DataSet:
    """Census income, mixed types with missing values."""
    frame = table("adult/adult.parquet").drop("split", "fnlwgt")
    frame = frame.with_columns((pl.col("income") == ">50K").cast(pl.Int64).alias("high_income"))
    numeric = ("age", "education_num", "capital_gain", "capital_loss", "hours_per_week")
    categorical = (
        "workclass",
        "marital_status",
        "occupation",
        "relationship",
        "race",
        "sex",
        "native_country",
    )
    return DataSet(
        "adult",
        "income model",
        "binary",
        _BINARY,
        frame.drop("income", "education"),
        numeric,
        categorical,
        "high_income",
        (0, 1),
        _TABULAR,
        {
            "registry": ("age", "sex", "race", "native_country", "marital_status", "relationship"),
            "hr-export": ("workclass", "occupation", "hours_per_week", "education_num"),
            "tax-office": ("capital_gain", "capital_loss"),
        },
        counts=("capital_gain", "hours_per_week"),
    )


@data_set("california_housing")
def california_housing() -> DataSet:
    """House value class, all numeric."""
    frame = table("california_housing/housing.parquet")
    numeric = (
        "MedInc",
        "HouseAge",
        "AveRooms",
        "AveBedrms",
        "Population",
        "AveOccup",
        "Latitude",
        "Longitude",
    )
    return DataSet(
        "california_housing",
        "house value model",
        "binary",
        _BINARY,
        frame.select(*numeric, "clf_target"),
        numeric,
        (),
        "clf_target",
        (0, 1),
        (*_TABULAR, "xgboost"),
        {
            "census": ("MedInc", "Population", "AveOccup"),
            "cadastre": ("HouseAge", "AveRooms", "AveBedrms"),
            "geocoder": ("Latitude", "Longitude"),
        },
        counts=("Population", "AveRooms"),
        rows=6_000,
        train_rows=5_000,
    )


@data_set("synthetic_car_loan")
def car_loan() -> DataSet:
    """Car loans: floats, ordered strings, a boolean."""
    frame = table("synthetic_car_loan/loans.parquet")
    frame = frame.with_columns(pl.col("repaid").cast(pl.Int64))
    numeric = ("car_value", "debt_to_income_ratio", "loan_length", "driver_tenure")
    categorical = ("salary_range", "repaid_loan_on_prev_car", "size_of_downpayment")
    return DataSet(
        "synthetic_car_loan",
        "loan repayment model",
        "binary",
        _BINARY,
        frame.select(*numeric, *categorical, "repaid"),
        numeric,
        categorical,
        "repaid",
        (0, 1),
        _TABULAR,
        {
            "dealer": ("car_value", "size_of_downpayment", "loan_length"),
            "bureau": ("debt_to_income_ratio", "repaid_loan_on_prev_car", "driver_tenure"),
            "application": ("salary_range",),
        },
        counts=("car_value", "driver_tenure"),
    )


@data_set("acs_employment_ma")
def employment() -> DataSet:
    """US census employment: integer codes as text, one number."""
    frame = table("acs_employment_ma/employment.parquet").sample(60_000, seed=3)
    categorical = ("SCHL", "MAR", "RELP", "DIS", "ESP", "CIT", "MIG", "MIL", "DREM", "SEX", "RAC1P")
    frame = frame.with_columns(pl.col(categorical).cast(pl.String))
    return DataSet(
        "acs_employment_ma",
        "employment model",
        "binary",
        _BINARY,
        frame.select("AGEP", *categorical, "employed"),
        ("AGEP",),
        categorical,
        "employed",
        (0, 1),
        _TABULAR,
        {
            "person-file": ("AGEP", "SEX", "RAC1P", "MAR", "CIT"),
            "household-file": ("RELP", "MIG", "ESP"),
            "survey": ("SCHL", "DIS", "DREM", "MIL"),
        },
    )


@data_set("bike_sharing")
def bikes() -> DataSet:
    """Hourly rentals: a regression with clock and weather."""
    frame = table("bike_sharing/hour.parquet").drop(
        "instant", "dteday", "casual", "registered", "atemp"
    )
    frame = frame.with_columns(
        (pl.col("temp") * 47.0 - 8.0).round(1),
        (pl.col("windspeed") * 67.0).round(1),
        (pl.col("hum") * 100).round(0),
        pl.col("weathersit").replace_strict(
            {1: "clear", 2: "mist", 3: "rain", 4: "rain"}, return_dtype=pl.String
        ),
        pl.col("season").replace_strict(
            {1: "winter", 2: "spring", 3: "summer", 4: "autumn"}, return_dtype=pl.String
        ),
        pl.col("workingday").cast(pl.Boolean),
    )
    return DataSet(
        "bike_sharing",
        "bike demand forecast",
        "regression",
        ("mae", "rmse"),
        frame.drop("holiday"),
        ("yr", "mnth", "hr", "weekday", "temp", "hum", "windspeed"),
        ("season", "workingday", "weathersit"),
        "cnt",
        (),
        ("boosted", "forest"),
        {
            "weather-api": ("temp", "hum", "windspeed", "weathersit"),
            "calendar": ("yr", "mnth", "hr", "weekday", "season", "workingday"),
        },
        hours={"hr": "hour"},
        weekday="weekday",
        rows=5_000,
        train_rows=5_000,
    )


@data_set("digits")
def digits() -> DataSet:
    """Handwritten digits as 64 integers, shipped with scikit-learn."""
    return _bundled("digits", "digit reader", "load_digits", 900)


@data_set("breast_cancer")
def breast_cancer() -> DataSet:
    """Tumour measurements, shipped with scikit-learn; few rows, resampled."""
    return _bundled("breast_cancer", "tumour screening model", "load_breast_cancer", 1_500)


@data_set("wine")
def wine() -> DataSet:
    """Chemical analyses of three cultivars, shipped with scikit-learn; few rows, resampled."""
    return _bundled("wine", "cultivar classifier", "load_wine", 1_200)


def _bundled(name: str, subject: str, loader: str, rows: int) -> DataSet:
    bunch = getattr(need("sklearn.datasets", extra="sklearn"), loader)(as_frame=False)
    names = [str(n).replace(" ", "_").replace("/", "_") for n in bunch.feature_names]
    frame = pl.DataFrame(dict(zip(names, bunch.data.T, strict=True)))
    binary = len(bunch.target_names) == 2
    classes = (0, 1) if binary else tuple(f"c{v}" for v in bunch.target_names)
    label = bunch.target if binary else [classes[k] for k in bunch.target]
    frame = frame.with_columns(pl.Series("label", label))
    live = [n for n in names if frame[n].n_unique() > 2][:24]
    third = max(1, len(live) // 3)
    return DataSet(
        name,
        subject,
        "binary" if binary else "multiclass",
        ("accuracy", "roc_auc", "log_loss") if binary else ("accuracy", "macro_f1", "log_loss"),
        frame.select(*live, "label"),
        tuple(live),
        (),
        "label",
        classes,
        ("linear", "forest", "boosted"),
        {
            "lab-a": tuple(live[:third]),
            "lab-b": tuple(live[third : 2 * third]),
            "lab-c": tuple(live[2 * third :]),
        },
        rows=rows,
        train_rows=max(frame.height // 3, 60),
    )
