-- A database of schema 0012 (`sqlite3 advisor.db .dump`): that of 0011 migrated, and the seconds beside the training of run 1.
BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL,
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0012');
CREATE TABLE confusion_matrices (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	run_id INTEGER NOT NULL, 
	images VARCHAR NOT NULL, 
	confused VARCHAR NOT NULL, 
	names VARCHAR NOT NULL, 
	CONSTRAINT uq_confusion_matrices_run_id UNIQUE (run_id), 
	CONSTRAINT fk_confusion_matrices_run_id_runs FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE
);
INSERT INTO "confusion_matrices" VALUES(1,1,'[36,36,36,36,36,36,36,36,36,36]','[[3,5,2],[8,1,12]]','[]');
CREATE TABLE epochs (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	run_id INTEGER NOT NULL,
	step VARCHAR NOT NULL,
	network VARCHAR NOT NULL,
	epoch INTEGER NOT NULL,
	rate FLOAT NOT NULL,
	train_loss FLOAT,
	train_error FLOAT,
	validation_loss FLOAT,
	validation_error FLOAT,
	validation_probabilities BLOB NOT NULL,
	seconds FLOAT NOT NULL,
	CONSTRAINT uq_epochs_run_id_step_epoch UNIQUE (run_id, step, epoch),
	CONSTRAINT fk_epochs_run_id_runs FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE
);
INSERT INTO "epochs" VALUES(1,1,'train mother-1','mother-1',0,0.1,0.5,0.25,0.75,0.125,X'00FF',1.5);
INSERT INTO "epochs" VALUES(2,1,'train mother-1','mother-1',1,0.1,0.5,0.25,0.75,0.125,X'01FE',1.5);
CREATE TABLE looks (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	data_key VARCHAR NOT NULL,
	looked_at VARCHAR NOT NULL,
	seed INTEGER NOT NULL,
	train_images INTEGER NOT NULL,
	errors VARCHAR NOT NULL,
	CONSTRAINT uq_looks_data_key UNIQUE (data_key)
);
INSERT INTO "looks" VALUES(1,'digits','2026-11-28T12:00:00+00:00',0,1077,'{"neighbours": [6, 360], "linear": [13, 360], "patches": [5, 360]}');
CREATE TABLE measurements (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	digest VARCHAR NOT NULL,
	fingerprint VARCHAR NOT NULL,
	network VARCHAR NOT NULL,
	channels INTEGER NOT NULL,
	height INTEGER NOT NULL,
	width INTEGER NOT NULL,
	classes INTEGER NOT NULL,
	batch INTEGER NOT NULL,
	processes INTEGER NOT NULL,
	forward_seconds FLOAT NOT NULL,
	backward_seconds FLOAT NOT NULL,
	optimizer_seconds FLOAT NOT NULL,
	step_seconds FLOAT NOT NULL,
	step_iqr_seconds FLOAT NOT NULL,
	inference_seconds FLOAT NOT NULL,
	peak_bytes INTEGER,
	spent_seconds FLOAT NOT NULL,
	measured_at VARCHAR NOT NULL
, fits BOOLEAN DEFAULT 1 NOT NULL, layers VARCHAR DEFAULT '[]' NOT NULL, reference_seconds FLOAT, reserved_bytes INTEGER, watts FLOAT, clock_mhz INTEGER, throttle VARCHAR DEFAULT '' NOT NULL);
INSERT INTO "measurements" VALUES(1,'3aa5384bcd7f706a','{"kind": "Fingerprint", "device": "cpu", "device_name": "Example 9000", "driver": "", "torch": "2.10.0", "threads": 1, "dtype": "float32", "memory_format": "contiguous"}','resnet-8-8',1,8,8,10,32,1,0.001,0.002,0.0005,0.004,0.0001,0.0009,NULL,1.25,'2026-01-01T11:00:00+00:00',1,'[]',NULL,NULL,NULL,NULL,'');
INSERT INTO "measurements" VALUES(2,'0de68cea59737580','{"kind": "Fingerprint", "device": "cuda", "device_name": "Example GPU", "driver": "600.1, CUDA 13.0", "torch": "2.10.0", "threads": 1, "cores": 0, "kernels": "tf32, cuDNN 91002, autotuned", "dtype": "float32", "memory_format": "contiguous", "protocol": 2}','mlp-1-4',1,8,8,10,32,1,0.001,0.002,0.0005,0.004,0.0001,0.0009,1000000,1.5,'2026-02-01T11:00:00+00:00',1,'[["flatten",1e-06,0.0,1e-06],["block1.layer1.linear",0.0001,0.0002,0.0001],["block1.layer1.relu",2e-06,3e-06,2e-06],["classifier",0.0002,0.0005,0.0001],["loss",5e-06,6e-06,0.0]]',NULL,2097152,212.5,1755,'power cap, thermal limit');
CREATE TABLE recommendations (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	created_at VARCHAR NOT NULL,
	request VARCHAR NOT NULL,
	payload VARCHAR NOT NULL
);
INSERT INTO "recommendations" VALUES(1,'2026-01-01T11:30:00+00:00','{"budget": "60k", "epochs": 3, "dataset": "digits", "batch": 32, "seed": 0, "device": "cpu"}','{"recommendations": [{"design": "2xresnet-8-8@g1"}]}');
CREATE TABLE reported_trainings (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	digest VARCHAR NOT NULL,
	imported_at VARCHAR NOT NULL,
	source VARCHAR NOT NULL,
	dataset VARCHAR NOT NULL,
	channels INTEGER NOT NULL,
	height INTEGER NOT NULL,
	width INTEGER NOT NULL,
	classes INTEGER NOT NULL,
	augmentation VARCHAR NOT NULL,
	train_images INTEGER NOT NULL,
	test_images INTEGER NOT NULL,
	design VARCHAR NOT NULL,
	epochs INTEGER NOT NULL,
	batch INTEGER NOT NULL,
	seed INTEGER NOT NULL,
	error FLOAT NOT NULL,
	member_errors VARCHAR NOT NULL,
	device VARCHAR NOT NULL,
	date VARCHAR NOT NULL, validation_images INTEGER, errors_by_members VARCHAR, member_curve VARCHAR, ensemble_curve VARCHAR, weight_decay FLOAT DEFAULT 1 NOT NULL,
	CONSTRAINT uq_reported_trainings_digest UNIQUE (digest)
);
INSERT INTO "reported_trainings" VALUES(1,'1563438071bdc0d681f115b4cb8801e310117e0f48ab1ecea9d06ed5a0ffdff8','2026-11-21T12:00:00+00:00','advice-cpu.csv','fashion-14x14-400',1,14,14,10,'crop+flip',400,5000,'2xresnet-26-6@g1',40,20,2,0.2125,'[0.25, 0.225]','x86_64 CPU, 2 cores','2026-11-21',NULL,NULL,NULL,NULL,1.0);
INSERT INTO "reported_trainings" VALUES(2,'96a9b6bcdc9140d2c1702ab4c489d0403c1a7901d4945b3245635077464876e1','2026-11-22T12:00:00+00:00','advice-cpu.csv','fashion-14x14-400',1,14,14,10,'crop+flip',400,5000,'2xresnet-26-6',4,20,2,0.2125,'[0.25, 0.225]','x86_64 CPU, 2 cores','2026-11-21',1000,'[0.25, 0.2125]','[0.75, 0.5, 0.3125, 0.25]','[0.75, 0.4375, 0.25, 0.1875]',1.0);
CREATE TABLE runs (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	created_at VARCHAR NOT NULL,
	status VARCHAR NOT NULL,
	design VARCHAR NOT NULL,
	dataset VARCHAR NOT NULL,
	family VARCHAR NOT NULL,
	method VARCHAR NOT NULL,
	epochs INTEGER NOT NULL,
	members INTEGER NOT NULL,
	clusters INTEGER NOT NULL,
	batch INTEGER NOT NULL,
	seed INTEGER NOT NULL,
	device VARCHAR NOT NULL,
	parameters INTEGER NOT NULL,
	train_seconds FLOAT NOT NULL,
	test_error FLOAT,
	mean_member_error FLOAT,
	predicted_train_seconds FLOAT,
	predicted_test_error FLOAT,
	fingerprint VARCHAR NOT NULL,
	message VARCHAR NOT NULL,
	"plan" VARCHAR NOT NULL,
	forecast VARCHAR,
	test VARCHAR
, voting_error FLOAT, super_learner_error FLOAT, best_member_error FLOAT, calibration_error FLOAT, navigation VARCHAR, overhead_seconds FLOAT);
INSERT INTO "runs" VALUES(1,'2026-01-01T12:00:00+00:00','done','2xresnet-8-8@g1','digits','resnet','mothernets',3,2,1,32,1,'cpu',9876,11.0,0.04,0.05625,12.5,0.05,'3aa5384bcd7f706a','','{
  "kind": "TrainingPlan",
  "schema_version": 1,
  "design": "2xresnet-8-8@g1",
  "method": "mothernets",
  "dataset": {
    "kind": "DatasetFacts",
    "name": "digits",
    "task": {
      "kind": "Task",
      "channels": 1,
      "height": 8,
      "width": 8,
      "classes": 10
    },
    "train_images": 1077,
    "validation_images": 360,
    "test_images": 360,
    "augmentation": "crop",
    "batch": 32
  },
  "epochs": 3,
  "batch": 32,
  "seed": 1,
  "execution": {
    "kind": "Execution",
    "device": "cpu",
    "processes": 2,
    "threads": 1,
    "dtype": "float32",
    "memory_format": "contiguous"
  },
  "networks": [
    {
      "kind": "PlannedNetwork",
      "name": "mother-1",
      "network": "resnet-8-8",
      "role": "mother"
    },
    {
      "kind": "PlannedNetwork",
      "name": "member-1",
      "network": "resnet-8-8",
      "role": "member"
    },
    {
      "kind": "PlannedNetwork",
      "name": "member-2",
      "network": "resnet-8-8",
      "role": "member"
    }
  ],
  "steps": [
    {
      "kind": "TrainStep",
      "id": "train mother-1",
      "network": "mother-1",
      "after": [],
      "schedule": {
        "kind": "StepSchedule",
        "epochs": 3,
        "rate": 0.1,
        "drops": [
          1,
          2
        ],
        "factor": 0.1,
        "warmup": false
      },
      "momentum": 0.9,
      "weight_decay": 0.0001
    },
    {
      "kind": "HatchStep",
      "id": "hatch member-1",
      "network": "member-1",
      "source": "mother-1",
      "after": [
        "train mother-1"
      ],
      "noise": 0.001
    },
    {
      "kind": "TrainStep",
      "id": "train member-1",
      "network": "member-1",
      "after": [
        "hatch member-1"
      ],
      "schedule": {
        "kind": "StepSchedule",
        "epochs": 1,
        "rate": 0.1,
        "drops": [
          1,
          1
        ],
        "factor": 0.1,
        "warmup": true
      },
      "momentum": 0.9,
      "weight_decay": 0.0001
    },
    {
      "kind": "HatchStep",
      "id": "hatch member-2",
      "network": "member-2",
      "source": "mother-1",
      "after": [
        "train mother-1"
      ],
      "noise": 0.001
    },
    {
      "kind": "TrainStep",
      "id": "train member-2",
      "network": "member-2",
      "after": [
        "hatch member-2"
      ],
      "schedule": {
        "kind": "StepSchedule",
        "epochs": 1,
        "rate": 0.1,
        "drops": [
          1,
          1
        ],
        "factor": 0.1,
        "warmup": true
      },
      "momentum": 0.9,
      "weight_decay": 0.0001
    }
  ]
}
','{"kind": "Forecast", "train_seconds": [12.5, 10.0, 15.0], "train_peak_bytes": [200000000.0, 100000000.0, 300000000.0], "inference_ms_per_image": null, "test_error": [0.05, 0.03, 0.08], "steps": [{"kind": "PredictedStep", "step": "train mother-1", "mean": 6.0, "low": 5.0, "high": 7.0}], "corrections": [{"kind": "Correction", "quantity": "time", "basis": "measurements", "factor": 1.25, "own": 3, "shipped": 124}, {"kind": "Correction", "quantity": "error", "basis": "runs", "factor": 0.75, "own": 0, "shipped": 400}], "overhead_seconds": [3.0, 2.0, 5.0], "overhead_factor": 1.25}','{"kind": "EnsembleMetrics", "error": 0.04, "member_errors": [0.05, 0.0625], "oracle_error": 0.01, "disagreement": 0.03, "nll": 0.2, "voting_error": 0.045, "super_learner_error": 0.035, "super_learner_weights": [0.75, 0.25], "calibration_error": 0.015, "best_member": 1, "errors_by_members": [0.05625, 0.04]}',0.045,0.035,0.0625,0.015,'{"kind": "Navigation", "targets": {"kind": "Targets", "error": 0.06, "seconds": null, "usd": 5.0, "price_per_hour": 3.06}, "earlier": [], "kept": [], "renewed": [], "validation_error": 0.0625}',3.25);
INSERT INTO "runs" VALUES(3,'2026-01-03T12:00:00+00:00','interrupted','2xresnet-8-8@g1','digits','resnet','mothernets',3,2,1,32,1,'cpu',9876,2.0,NULL,NULL,NULL,NULL,'3aa5384bcd7f706a','stopped','{
  "kind": "TrainingPlan",
  "schema_version": 1,
  "design": "2xresnet-8-8@g1",
  "method": "mothernets",
  "dataset": {
    "kind": "DatasetFacts",
    "name": "digits",
    "task": {
      "kind": "Task",
      "channels": 1,
      "height": 8,
      "width": 8,
      "classes": 10
    },
    "train_images": 1077,
    "validation_images": 360,
    "test_images": 360,
    "augmentation": "crop",
    "batch": 32
  },
  "epochs": 3,
  "batch": 32,
  "seed": 1,
  "execution": {
    "kind": "Execution",
    "device": "cpu",
    "processes": 2,
    "threads": 1,
    "dtype": "float32",
    "memory_format": "contiguous"
  },
  "networks": [
    {
      "kind": "PlannedNetwork",
      "name": "mother-1",
      "network": "resnet-8-8",
      "role": "mother"
    },
    {
      "kind": "PlannedNetwork",
      "name": "member-1",
      "network": "resnet-8-8",
      "role": "member"
    },
    {
      "kind": "PlannedNetwork",
      "name": "member-2",
      "network": "resnet-8-8",
      "role": "member"
    }
  ],
  "steps": [
    {
      "kind": "TrainStep",
      "id": "train mother-1",
      "network": "mother-1",
      "after": [],
      "schedule": {
        "kind": "StepSchedule",
        "epochs": 3,
        "rate": 0.1,
        "drops": [
          1,
          2
        ],
        "factor": 0.1,
        "warmup": false
      },
      "momentum": 0.9,
      "weight_decay": 0.0001
    },
    {
      "kind": "HatchStep",
      "id": "hatch member-1",
      "network": "member-1",
      "source": "mother-1",
      "after": [
        "train mother-1"
      ],
      "noise": 0.001
    },
    {
      "kind": "TrainStep",
      "id": "train member-1",
      "network": "member-1",
      "after": [
        "hatch member-1"
      ],
      "schedule": {
        "kind": "StepSchedule",
        "epochs": 1,
        "rate": 0.1,
        "drops": [
          1,
          1
        ],
        "factor": 0.1,
        "warmup": true
      },
      "momentum": 0.9,
      "weight_decay": 0.0001
    },
    {
      "kind": "HatchStep",
      "id": "hatch member-2",
      "network": "member-2",
      "source": "mother-1",
      "after": [
        "train mother-1"
      ],
      "noise": 0.001
    },
    {
      "kind": "TrainStep",
      "id": "train member-2",
      "network": "member-2",
      "after": [
        "hatch member-2"
      ],
      "schedule": {
        "kind": "StepSchedule",
        "epochs": 1,
        "rate": 0.1,
        "drops": [
          1,
          1
        ],
        "factor": 0.1,
        "warmup": true
      },
      "momentum": 0.9,
      "weight_decay": 0.0001
    }
  ]
}
',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE steps (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	run_id INTEGER NOT NULL,
	step VARCHAR NOT NULL,
	network VARCHAR NOT NULL,
	status VARCHAR NOT NULL,
	seconds FLOAT NOT NULL,
	hatch_difference FLOAT,
	peak_bytes INTEGER,
	message VARCHAR NOT NULL,
	CONSTRAINT uq_steps_run_id_step UNIQUE (run_id, step),
	CONSTRAINT fk_steps_run_id_runs FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE
);
INSERT INTO "steps" VALUES(1,1,'train mother-1','mother-1','done',3.0,NULL,1000000,'');
CREATE TABLE validation_classes (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	run_id INTEGER NOT NULL, 
	classes BLOB NOT NULL, 
	CONSTRAINT uq_validation_classes_run_id UNIQUE (run_id), 
	CONSTRAINT fk_validation_classes_run_id_runs FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE
);
INSERT INTO "validation_classes" VALUES(1,1,X'789CEDCAC90D00200084C0F5D6FE1B96C41E7C41323F92A4A0A2A163606261E3E4E5E7E7E7E7F7EFBBB11F0655');
CREATE INDEX ix_measurements_digest ON measurements (digest);
CREATE INDEX ix_epochs_run_id_step_epoch_seconds ON epochs (run_id, step, epoch, seconds);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('runs',3);
INSERT INTO "sqlite_sequence" VALUES('epochs',2);
INSERT INTO "sqlite_sequence" VALUES('steps',1);
INSERT INTO "sqlite_sequence" VALUES('measurements',2);
INSERT INTO "sqlite_sequence" VALUES('recommendations',1);
INSERT INTO "sqlite_sequence" VALUES('reported_trainings',2);
INSERT INTO "sqlite_sequence" VALUES('looks',1);
INSERT INTO "sqlite_sequence" VALUES('confusion_matrices',1);
INSERT INTO "sqlite_sequence" VALUES('validation_classes',1);
COMMIT;
